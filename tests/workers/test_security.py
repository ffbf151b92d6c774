"""What a worker refuses, and how its connections are secured."""

import ssl
from pathlib import Path

import pytest
import redis
from kombu import Connection, Queue
from neo4j import Driver, GraphDatabase
from pydantic import SecretStr

from circuitbase.errors import StoreError
from circuitbase.ingest.connection import open_driver
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from circuitbase.workers.application import TRACE_TASK, application
from circuitbase.workers.connection import open_redis, redis_client
from circuitbase.workers.jobs import JobState
from circuitbase.workers.routing import queue_length
from tests.workers.acting import PROGRAM, act_out, record
from tests.workers.running import eventually, running_worker

OUTSIDE = ("../outside", "/etc/passwd", "a/../../b", "", "A" * 64, "0" * 64 + "\n")


class Mischief:
    """Makes a file wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.path), "w")


def test_a_pickle_message_is_refused_and_never_decoded(settings: Settings, database: Driver, tmp_path: Path) -> None:
    made = tmp_path / "made-by-a-pickle"
    headers = {"id": "f" * 64, "task": TRACE_TASK, "lang": "py", "root_id": "f" * 64, "argsrepr": "", "kwargsrepr": ""}
    with Connection(settings.redis_connection()) as connection, connection.Producer() as producer:
        body = [(Mischief(made),), {}, {}]
        producer.publish(body, routing_key="trace", headers=headers, serializer="pickle", declare=[Queue("trace")])
    (after,) = act_out(settings, "process")
    with running_worker(settings, queues="trace", log=tmp_path / "worker.log", program=PROGRAM) as worker:
        eventually(lambda: record(settings, after).state == JobState.FAILED, seconds=60)
        assert "Refusing to deserialize" in worker.log.read_text()
    with open_redis(settings) as client:
        assert (queue_length(client, "trace"), client.hlen("unacked")) == (0, 0)
    assert not made.exists()


@pytest.mark.parametrize("trace_id", OUTSIDE)
def test_the_store_refuses_what_would_lead_out_of_it(tmp_path: Path, trace_id: str) -> None:
    (tmp_path / "outside.safetensors").write_bytes(b"precious")
    store = TraceStore(str(tmp_path / "store"))
    for ask in (store.exists, store.load, store.remove):
        with pytest.raises(StoreError, match="a trace id should be 64 hexadecimal digits"):
            ask(trace_id)
    assert (tmp_path / "outside.safetensors").read_bytes() == b"precious"


def test_a_worker_fails_a_job_whose_id_would_lead_out_of_the_store(
    settings: Settings, database: Driver, tmp_path: Path
) -> None:
    from circuitbase.workers import jobs
    from circuitbase.workers.publishing import publish_jobs
    from tests.workers.made_jobs import made_request

    outside = Path(settings.store_url).parent / "outside.safetensors"
    outside.write_bytes(b"precious")
    with open_redis(settings) as client, application(settings) as app:
        jobs.put(client, [("../outside", made_request("trace"))], prompt_set="acted")
        publish_jobs(app, [("../outside", JobState.QUEUED), ("../outside", JobState.TRACED)])
    with running_worker(settings, queues="trace,ingest", log=tmp_path / "worker.log", program=PROGRAM):
        eventually(lambda: record(settings, "../outside").state == JobState.FAILED, seconds=60)
    assert "a trace id should be 64 hexadecimal digits" in str(record(settings, "../outside").error)
    assert outside.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("query", "required", "authorities"),
    [
        ("", ssl.CERT_REQUIRED, None),
        ("?ssl_ca_certs=/ca.pem", ssl.CERT_REQUIRED, "/ca.pem"),
        ("?ssl_cert_reqs=none", ssl.CERT_NONE, None),
    ],
)
def test_rediss_is_handed_to_both_clients_and_certificates_are_verified(
    query: str, required: ssl.VerifyMode, authorities: str | None
) -> None:
    url = f"rediss://:secret@queue.example:6380/0{query}"
    given = Settings(redis_url=SecretStr(url))
    with application(given) as app, app.connection_for_write() as connection:
        assert connection.ssl["ssl_cert_reqs"] == required
        assert connection.ssl.get("ssl_ca_certs") == authorities
        assert (connection.hostname, connection.port, connection.password) == ("queue.example", 6380, "secret")
    with redis_client(given.redis_connection()) as client:
        pool = client.connection_pool
        assert issubclass(pool.connection_class, redis.SSLConnection)
        connected = pool.make_connection()
        assert connected.cert_reqs == required
        assert connected.ca_certs == authorities


def test_what_a_worker_tells_of_its_settings_holds_no_password() -> None:
    given = Settings(redis_url=SecretStr("redis://:hunter2@queue.example:6379/0"))
    with application(given) as app:
        assert "hunter2" not in str(app.conf.humanize(with_defaults=True, censored=True))
        assert "hunter2" not in str(app.conf.table(with_defaults=True, censored=True))


def test_plain_redis_has_no_tls(settings: Settings) -> None:
    with application(settings) as app, app.connection_for_write() as connection:
        assert not connection.ssl


@pytest.mark.parametrize("scheme", ["neo4j+s", "bolt+s", "neo4j+ssc", "bolt+ssc"])
def test_encrypted_schemes_are_handed_to_the_driver(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    real = GraphDatabase.driver

    class Refused(OSError):
        """Stands for a server that is not there."""

    def driver(uri: str, **options: object):
        found = real(uri, **options)  # type: ignore[arg-type]
        opened.append((uri, found.encrypted, options["auth"]))
        found.close()
        raise Refused

    monkeypatch.setattr(GraphDatabase, "driver", driver)
    uri = f"{scheme}://base.example:7687"
    with pytest.raises(Refused):
        open_driver(Settings(neo4j_uri=uri, neo4j_password=SecretStr("secret")))
    assert opened == [(uri, True, ("neo4j", "secret"))]
