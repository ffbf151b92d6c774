"""What is installed, reachable and configured, and what to do about what is not."""

import importlib.util
import platform
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from circuitbase.errors import CircuitbaseError, StoreError
from circuitbase.services import processes
from circuitbase.services.jars import NEO4J_VERSION, jar_folder, locked_jars, missing_jars
from circuitbase.services.java import find_java
from circuitbase.services.neo4j_server import Neo4jServer
from circuitbase.services.reachable import check_neo4j, check_redis, redis_address
from circuitbase.services.redis_server import RedisServer, find_redis
from circuitbase.settings import Settings
from circuitbase.store.store_errors import store_errors


@dataclass(frozen=True)
class Check:
    """One thing looked at: `optional` is absent and only some commands need it."""

    name: str
    state: Literal["ok", "optional", "problem"]
    found: str


def doctor(settings: Settings) -> list[Check]:
    """Returns every check, in the order in which things are needed."""
    checks = [Check("python", "ok", f"{platform.python_version()}, circuitbase {version('circuitbase')}")]
    if settings.uses_private_services:
        checks += [_check("java", lambda: _java()), _check("neo4j jars", lambda: _jars(settings))]
    if settings.redis_url is None:
        checks.append(_check("redis-server", lambda: str(find_redis())))
    checks += [
        _check("neo4j", lambda: _neo4j(settings)),
        _check("redis", lambda: _redis(settings)),
        _check("store", lambda: _store(settings)),
        _package("torch", extra="trace", needed_for="tracing"),
        _package("transformers", extra="trace", needed_for="tracing"),
        _package("matplotlib", extra="plot", needed_for="plots"),
        _gpu(),
        _workers(settings),
    ]
    return checks


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", look())
    except CircuitbaseError as error:
        return Check(name, "problem", str(error))


def _java() -> str:
    java = find_java()
    return f"{java.version} from {java.source} ({java.executable})"


def _jars(settings: Settings) -> str:
    jars, folder = locked_jars(), jar_folder(settings)
    missing = missing_jars(folder, jars)
    if missing:
        raise StoreError(
            f"{len(missing)} of Neo4j's {len(jars)} jars are not in {folder} as locked; run `circuitbase fetch`"
        )
    return f"{NEO4J_VERSION}, {len(jars)} verified in {folder}"


def _neo4j(settings: Settings) -> str:
    answer = check_neo4j(settings)
    return f"{answer} at {settings.neo4j_connection()[0]}"


def _redis(settings: Settings) -> str:
    answer = check_redis(settings)
    return f"{answer} at {redis_address(settings.redis_connection())}"


def _store(settings: Settings) -> str:
    """Writes, reads and deletes a small file in the store."""
    from circuitbase.store.trace_store import TraceStore, write_bytes

    name, content = f".doctor-{secrets.token_hex(4)}", b"circuitbase"
    with store_errors(f"the store {settings.store_url} cannot be written", "correct CIRCUITBASE_STORE"):
        write_bytes(content, f"{settings.store_url.rstrip('/')}/{name}")
        system, folder = TraceStore(settings.store_url).filesystem()
        read = system.cat_file(f"{folder}/{name}")
        system.rm_file(f"{folder}/{name}")
    if read != content:
        raise StoreError(f"the store {settings.store_url} gives back other bytes than were written")
    return f"{settings.store_url}, writable"


def _package(name: str, *, extra: str, needed_for: str) -> Check:
    if importlib.util.find_spec(name) is None:
        return Check(name, "optional", f"absent; {needed_for} needs it: pip install 'circuitbase[{extra}]'")
    return Check(name, "ok", version(name))


def _gpu() -> Check:
    if importlib.util.find_spec("torch") is None:
        return Check("gpu", "optional", "not looked for without torch")
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        return Check("gpu", "ok", ", ".join(names))
    return Check("gpu", "optional", "none that torch can use; tracing runs on the CPU")


def _workers(settings: Settings) -> Check:
    servers = (Neo4jServer.name, RedisServer.name)
    try:
        started = [entry for entry in processes.recorded(settings) if entry.name not in servers]
    except CircuitbaseError as error:
        return Check("workers", "problem", str(error))
    ended = [f"{entry.name} ended by itself; its log is {entry.log}" for entry in started if not entry.running]
    running = [f"{entry.name} (process {entry.pid})" for entry in started if entry.running]
    if ended:
        return Check("workers", "problem", "; ".join(ended + running))
    return Check(
        "workers", "ok" if running else "optional", ", ".join(running) or "none started in the background here"
    )
