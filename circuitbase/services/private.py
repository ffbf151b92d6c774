"""Up and down: the private Neo4j and Redis, without Docker and without root."""

from dataclasses import dataclass

from circuitbase.services import processes
from circuitbase.services.connection import Connection, write_connection
from circuitbase.services.exclusive import exclusive
from circuitbase.services.interrupts import interrupts_deferred
from circuitbase.services.jars import Progress, fetch
from circuitbase.services.java import find_java
from circuitbase.services.listening import LOOPBACK, refuse_weak_password
from circuitbase.services.memory import Memory, memory_for_machine
from circuitbase.services.neo4j_server import USER, Neo4jServer
from circuitbase.services.reachable import check_neo4j, check_redis
from circuitbase.services.redis_server import RedisServer
from circuitbase.services.service import Say, Service, await_answer, is_running, launch, recognise
from circuitbase.settings import Settings

SERVER_PATIENCE_SECONDS = 60.0  # Neo4j writes a checkpoint before it ends


@dataclass(frozen=True)
class Ports:
    """The ports to take if they are free; 0 takes any."""

    bolt: int = 7687
    http: int = 7474
    redis: int = 6379


def silent(sentence: str) -> None:
    """Says nothing: for callers that want only the result."""


def up(
    settings: Settings,
    *,
    listen: str | None = None,
    memory: Memory | None = None,
    ports: Ports | None = None,
    say: Say = silent,
    progress: Progress | None = None,
) -> Connection:
    """Starts what of Neo4j and Redis is not configured elsewhere and not running, and waits for it.

    `listen` is 127.0.0.1 unless given. What this call started is stopped again if it fails or is
    interrupted; data and ports are kept over crashes and restarts.
    """
    ports = ports or Ports()
    with exclusive(settings.home / "up.lock", waiting=lambda: say("Waiting for another `circuitbase up`")):
        wanted: list[tuple[Service, dict[str, int]]] = []
        if settings.neo4j_uri is None:
            server = Neo4jServer(settings, memory or memory_for_machine())
            wanted.append((server, {"bolt": ports.bolt, "http": ports.http}))
            if memory is not None and is_running(server):
                say("Neo4j keeps the memory it was started with until `circuitbase down`")
        if settings.redis_url is None:
            wanted.append((RedisServer(settings), {"redis": ports.redis}))
        for service, _ in wanted:
            refuse_weak_password(service, listen or LOOPBACK)
        missing = [(service, numbers) for service, numbers in wanted if not recognise(service, listen=listen, say=say)]
        _start(settings, missing, listen=listen or LOOPBACK, say=say, progress=progress)
        return _connected(settings)


def down(settings: Settings, *, say: Say = silent) -> None:
    """Stops the recorded background processes, workers first, then Redis and Neo4j; data is kept."""
    with exclusive(settings.home / "up.lock", waiting=lambda: say("Waiting for `circuitbase up` to finish")):
        servers = (RedisServer.name, Neo4jServer.name)
        names = [entry.name for entry in processes.recorded(settings)]
        order = [name for name in names if name not in servers] + [name for name in servers if name in names]
        for name in order:
            patience = SERVER_PATIENCE_SECONDS if name in servers else processes.PATIENCE_SECONDS
            stopped = processes.stop(settings, name, patience=patience)
            say(f"Stopped {name}" if stopped else f"{name} had already ended")
        if not order:
            say("Nothing was running")


def _start(
    settings: Settings,
    missing: list[tuple[Service, dict[str, int]]],
    *,
    listen: str,
    say: Say,
    progress: Progress | None,
) -> None:
    if any(isinstance(service, Neo4jServer) for service, _ in missing):
        java = find_java()
        say(f"Using Java {java.version} from {java.source} ({java.executable})")
        fetch(settings, progress=progress)
    try:
        for service, wanted in missing:
            say(f"Starting {service.title}")
            launch(service, listen=listen, wanted=wanted, say=say)
        for service, wanted in missing:
            await_answer(service, listen=listen, wanted=wanted, say=say)
            say(f"{service.title} is ready")
    except BaseException:
        with interrupts_deferred():
            for service, _ in missing:
                if is_running(service):
                    processes.stop(settings, service.name, patience=SERVER_PATIENCE_SECONDS)
        raise


def _connected(settings: Settings) -> Connection:
    private: dict[str, str] = {}
    if settings.neo4j_uri is None:
        server = Neo4jServer(settings, Memory())
        private |= {"neo4j_uri": server.uri(), "neo4j_user": USER, "neo4j_password": server.password()}
        private["neo4j_http"] = server.browser_url()
    if settings.redis_url is None:
        private["redis_url"] = RedisServer(settings).url()
    write_connection(settings, private)
    check_neo4j(settings)
    check_redis(settings)
    uri, user, password = settings.neo4j_connection()
    return Connection(uri, user, password, private.get("neo4j_http", ""), settings.redis_connection())
