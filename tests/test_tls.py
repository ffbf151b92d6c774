"""Encrypted connections, with real handshakes: TLS ends in front of the session's Redis and Neo4j, which have none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from neo4j import Driver
from pydantic import SecretStr

from circuitbase.errors import ServiceError
from circuitbase.ingest.connection import open_driver
from circuitbase.services import check_neo4j, check_redis
from circuitbase.settings import Settings
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from tests.tls_proxy import Authority, made_authority, tls_in_front
from tests.workers.acting import PROGRAM, act_out, record
from tests.workers.running import eventually, running_worker

VERIFIED, UNVERIFIED = ("bolt+s", "neo4j+s"), ("bolt+ssc", "neo4j+ssc")

OTHER_NAME = r"not valid for 'localhost'\); connect to it by the name that its certificate was made for"


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return made_authority(tmp_path, "ours")


@pytest.fixture
def others(tmp_path: Path) -> Authority:
    return made_authority(tmp_path, "others")


@pytest.fixture
def redis_port(settings: Settings, ours: Authority) -> Iterator[int]:
    with tls_in_front(plain_redis(settings), ours.server_context("localhost")) as port:
        yield port


@pytest.fixture
def bolt_port(settings: Settings, ours: Authority) -> Iterator[int]:
    with tls_in_front(plain_bolt(settings), ours.server_context("localhost")) as port:
        yield port


def plain_redis(settings: Settings) -> int:
    return int(urlsplit(settings.redis_connection()).port or 0)


def plain_bolt(settings: Settings) -> int:
    return int(urlsplit(settings.neo4j_connection()[0]).port or 0)


def redis_url(settings: Settings, port: int, query: str = "") -> str:
    return f"rediss://:{urlsplit(settings.redis_connection()).password}@localhost:{port}/0{query}"


def with_redis(settings: Settings, port: int, query: str = "") -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr(redis_url(settings, port, query))})


def with_neo4j(settings: Settings, scheme: str, port: int) -> Settings:
    _, user, password = settings.neo4j_connection()
    uri = f"{scheme}://localhost:{port}"
    return Settings(neo4j_uri=uri, neo4j_user=user, neo4j_password=SecretStr(password))


def ask_redis(settings: Settings) -> None:
    with open_redis(settings) as client:
        client.ping()


def ask_neo4j(settings: Settings) -> None:
    with open_driver(settings) as driver:
        assert driver.execute_query("RETURN 1 AS one").records[0]["one"] == 1


@pytest.mark.parametrize("ask", [ask_redis, check_redis])
def test_redis_is_reached_over_tls_by_its_authority(
    settings: Settings, ours: Authority, redis_port: int, ask: Callable[[Settings], object]
) -> None:
    ask(with_redis(settings, redis_port, f"?ssl_ca_certs={ours.file}"))
    ask(with_redis(settings, redis_port, "?ssl_cert_reqs=none"))


@pytest.mark.parametrize("ask", [ask_redis, check_redis])
def test_a_redis_that_cannot_be_trusted_is_refused_with_the_remedy(
    settings: Settings, ours: Authority, others: Authority, redis_port: int, ask: Callable[[Settings], object]
) -> None:
    password = str(urlsplit(settings.redis_connection()).password)
    for query in ("", f"?ssl_ca_certs={others.file}"):
        with pytest.raises(ServiceError) as caught:
            ask(with_redis(settings, redis_port, query))
        assert str(caught.value) == (
            f"Redis at rediss://localhost:{redis_port}/0 shows a certificate that is not accepted (unable to get local "
            "issuer certificate); name the file of its authority in CIRCUITBASE_REDIS_URL (?ssl_ca_certs=/path/ca.pem)"
        )
    with pytest.raises(ServiceError, match=r"should name a PEM file, got /no\.pem \(No such file or directory\)"):
        ask(with_redis(settings, redis_port, "?ssl_ca_certs=/no.pem"))
    with (
        tls_in_front(plain_redis(settings), ours.server_context("queue.example")) as port,
        pytest.raises(ServiceError, match=OTHER_NAME) as caught,
    ):
        ask(with_redis(settings, port, f"?ssl_ca_certs={ours.file}"))
    assert password not in str(caught.value)


@pytest.mark.parametrize("scheme", VERIFIED)
@pytest.mark.parametrize("ask", [ask_neo4j, check_neo4j])
def test_neo4j_is_reached_over_tls_by_its_authority(
    settings: Settings,
    ours: Authority,
    bolt_port: int,
    scheme: str,
    ask: Callable[[Settings], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
    ask(with_neo4j(settings, scheme, bolt_port))


@pytest.mark.parametrize("scheme", UNVERIFIED)
def test_any_certificate_is_taken_where_that_is_asked_for(settings: Settings, bolt_port: int, scheme: str) -> None:
    ask_neo4j(with_neo4j(settings, scheme, bolt_port))


@pytest.mark.parametrize("scheme", VERIFIED)
@pytest.mark.parametrize("ask", [ask_neo4j, check_neo4j])
def test_a_neo4j_that_cannot_be_trusted_is_refused_with_the_remedy(
    settings: Settings,
    ours: Authority,
    others: Authority,
    bolt_port: int,
    scheme: str,
    ask: Callable[[Settings], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(others.file))
    with pytest.raises(ServiceError) as caught:
        ask(with_neo4j(settings, scheme, bolt_port))
    assert str(caught.value) == (
        f"Neo4j at {scheme}://localhost:{bolt_port} shows a certificate that is not accepted (unable to get local "
        "issuer certificate); let SSL_CERT_FILE name the file of its authority, or give CIRCUITBASE_NEO4J_URI as "
        f"{scheme}sc:// to take any certificate"
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
    with (
        tls_in_front(plain_bolt(settings), ours.server_context("base.example")) as port,
        pytest.raises(ServiceError, match=OTHER_NAME),
    ):
        ask(with_neo4j(settings, scheme, port))


def test_a_neo4j_without_tls_is_told_apart(settings: Settings) -> None:
    with pytest.raises(ServiceError, match="does not speak TLS"):
        ask_neo4j(with_neo4j(settings, "bolt+s", plain_bolt(settings)))


def test_a_worker_takes_jobs_over_tls(
    settings: Settings,
    database: Driver,
    ours: Authority,
    redis_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encrypted = with_redis(settings, redis_port, f"?ssl_ca_certs={ours.file}")
    monkeypatch.setenv("CIRCUITBASE_REDIS_URL", encrypted.redis_connection())
    (trace_id,) = act_out(encrypted, "process")
    with running_worker(encrypted, queues="trace", log=tmp_path / "worker.log", program=PROGRAM) as worker:
        eventually(lambda: record(encrypted, trace_id).state == JobState.FAILED, seconds=120)
        sockets = [each for child in [worker.computing_child()] for each in child.net_connections()]
    assert str(record(encrypted, trace_id).error).startswith("process ")
    ports = {each.raddr.port for each in sockets if each.raddr}
    assert redis_port in ports
    assert plain_redis(settings) not in ports
    assert str(urlsplit(encrypted.redis_connection()).password) not in (tmp_path / "worker.log").read_text()
