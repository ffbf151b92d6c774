"""Lives of services under a home of their own.

Most need Redis alone, which starts in a tenth of a second: Neo4j is then the session's, configured
as if it were elsewhere. What only Neo4j can show comes last.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis
from neo4j import GraphDatabase

from circuitbase import services
from circuitbase.errors import ServiceError
from circuitbase.services import SMALL, Ports, processes
from circuitbase.services.ports import free_port
from circuitbase.services.redis_server import RedisServer
from circuitbase.settings import Settings, load_settings

COMMAND = Path(sys.executable).with_name("circuitbase")


@pytest.fixture
def own(tmp_path: Path, own_home: None) -> Iterator[Settings]:
    """Returns settings whose services, once started, are this test's alone."""
    own = load_settings()
    yield own
    services.down(own)


@pytest.fixture
def redis_only(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Returns settings that take Neo4j from the session and start a Redis of this test's own."""
    uri, user, password = settings.neo4j_connection()
    monkeypatch.setenv("CIRCUITBASE_NEO4J_URI", uri)
    monkeypatch.setenv("CIRCUITBASE_NEO4J_USER", user)
    monkeypatch.setenv("CIRCUITBASE_NEO4J_PASSWORD", password)
    monkeypatch.setenv("CIRCUITBASE_HOME", str(tmp_path / "home"))
    own = load_settings()
    yield own
    services.down(own)


@pytest.fixture
def ports() -> Ports:
    free = [free_port("127.0.0.1", 0) for _ in range(3)]
    return Ports(*free)


def running(settings: Settings, name: str) -> psutil.Process:
    entry = processes.find(settings, name)
    process = entry.process() if entry else None
    assert process is not None, f"{name} does not run"
    return process


def kill(process: psutil.Process) -> None:
    process.kill()
    assert processes.ends_within(process, 10.0)


def started_under(home: Path) -> list[psutil.Process]:
    found = psutil.process_iter(["cmdline", "status"])
    return [p for p in found if str(home) in " ".join(p.info["cmdline"] or []) and p.pid != os.getpid()]


def test_a_killed_redis_is_started_again_on_its_port_with_its_data(redis_only: Settings, ports: Ports):
    url = services.up(redis_only, ports=ports).redis_url
    with redis.Redis.from_url(url) as client:
        client.set("kept", "yes")
    kill(running(redis_only, "redis"))
    said: list[str] = []
    assert services.up(redis_only, ports=ports, say=said.append).redis_url == url
    assert said[0] == "Redis ended without `circuitbase down`; starting it again on its data"
    with redis.Redis.from_url(url, decode_responses=True) as client:
        assert client.get("kept") == "yes"


def test_a_port_in_use_is_left_to_its_user_and_another_is_said(redis_only: Settings):
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        url = services.up(redis_only, ports=Ports(redis=taken), say=said.append).redis_url
    port = int(url.rpartition(":")[2].removesuffix("/0"))
    assert port != taken
    assert f"Port {taken} is in use, so Redis takes {port} (redis)" in said


def test_two_up_at_once_start_one_of_each(redis_only: Settings):
    both = [
        subprocess.Popen([COMMAND, "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in "12"
    ]
    outputs = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted("Starting Redis" in output for output in outputs) == [False, True]
    assert [entry.name for entry in processes.recorded(redis_only)] == ["redis"]


def test_a_redis_that_answers_nobody_is_replaced(redis_only: Settings, ports: Ports, monkeypatch: pytest.MonkeyPatch):
    services.up(redis_only, ports=ports)
    stuck = running(redis_only, "redis")
    stuck.suspend()
    monkeypatch.setattr(RedisServer, "seconds_to_start", 1.0)
    monkeypatch.setattr("circuitbase.services.reachable.TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("circuitbase.services.service.DEAF_PATIENCE_SECONDS", 0.1)
    said: list[str] = []
    services.up(redis_only, ports=ports, say=said.append)
    assert said[0] == f"Redis (process {stuck.pid}) does not answer; starting it again on its data"
    assert running(redis_only, "redis").pid != stuck.pid


def test_a_password_changed_behind_our_back_is_said(redis_only: Settings, ports: Ports):
    services.up(redis_only, ports=ports)
    password = redis_only.home / "redis" / "password"
    right = password.read_text()
    password.write_text("wrong")
    with pytest.raises(ServiceError, match=r"Redis under \S+ refuses the password in \S+password; if it was changed"):
        services.up(redis_only, ports=ports)
    password.write_text(right)
    services.up(redis_only, ports=ports)


def test_a_damaged_connection_file_is_written_anew(redis_only: Settings, ports: Ports):
    url = services.up(redis_only, ports=ports).redis_url
    (redis_only.home / "connection.json").write_text("{")
    with pytest.raises(ServiceError, match="run `circuitbase up` to write it anew"):
        load_settings().redis_connection()
    services.up(load_settings(), ports=ports)
    assert load_settings().redis_connection() == url


def test_the_connection_file_holds_nothing_that_was_configured_elsewhere(redis_only: Settings, ports: Ports):
    services.up(redis_only, ports=ports)
    assert list(redis_only.private_connection) == ["redis_url"]


def test_a_server_that_ends_while_starting_is_reported_with_its_own_words(
    redis_only: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    broken = tmp_path / "bin" / "redis-server"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho banner\necho 'FATAL: no such instruction' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    with pytest.raises(ServiceError, match=r"Redis ended while starting; \S+ says: FATAL: no such instruction$"):
        services.up(redis_only)
    assert processes.recorded(redis_only) == []


def test_down_stops_workers_too_and_says_so(redis_only: Settings, ports: Ports):
    services.up(redis_only, ports=ports)
    sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
    worker = processes.start(redis_only, "trace-worker", sleep, log=redis_only.home / "workers" / "trace.log")
    said: list[str] = []
    services.down(redis_only, say=said.append)
    assert said == ["Stopped trace-worker", "Stopped redis"]
    assert not worker.running
    services.down(redis_only, say=said.append)
    assert said[-1] == "Nothing was running"


def test_an_interrupted_up_leaves_no_process(own: Settings):
    up = subprocess.Popen(
        [COMMAND, "up", "--heap", "512m"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    ours = psutil.Process(up.pid)
    while not (found := processes.find(own, "neo4j")):
        assert not processes.ends_within(ours, 0.02), up.communicate()[0]
    up.send_signal(signal.SIGINT)
    output = up.communicate(timeout=60)[0]
    assert up.returncode == 1
    assert "Aborted" in output
    assert not found.running
    assert processes.recorded(own) == []
    assert started_under(own.home) == []


def test_a_killed_neo4j_is_started_again_on_its_ports_with_its_data(own: Settings, ports: Ports):
    first = services.up(own, memory=SMALL, ports=ports)
    with GraphDatabase.driver(first.neo4j_uri, auth=(first.neo4j_user, first.neo4j_password)) as driver:
        driver.execute_query("CREATE (:Kept {answer: 42})")
    kill(running(own, "neo4j"))
    with pytest.raises(
        ServiceError, match=r"Neo4j at bolt://127\.0\.0\.1:\d+ is not reachable .*; run `circuitbase up`"
    ):
        services.check_neo4j(own)
    said: list[str] = []
    second = services.up(own, memory=SMALL, ports=ports, say=said.append)
    assert said[:2] == ["Neo4j ended without `circuitbase down`; starting it again on its data", "Redis is running"]
    assert (second.neo4j_uri, second.neo4j_http) == (first.neo4j_uri, first.neo4j_http)
    with GraphDatabase.driver(second.neo4j_uri, auth=(second.neo4j_user, second.neo4j_password)) as driver:
        assert driver.execute_query("MATCH (kept:Kept) RETURN kept.answer AS answer").records[0]["answer"] == 42
    services.down(own)
    assert started_under(own.home) == []
