import pytest
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import presence
from circuitbase.workers.connection import open_redis
from circuitbase.workers.presence import announce, leave, listening, unserved


def test_a_queue_is_served_while_a_worker_says_so(settings: Settings, database: Driver) -> None:
    with open_redis(settings) as client:
        assert unserved(client, ["trace", "ingest"], model="m") == ["trace", "ingest"]
        announce(client, ["trace"])
        assert unserved(client, ["trace", "ingest"], model="m") == ["ingest"]
        assert 0 < client.ttl("circuitbase:listening:trace") <= 30
        leave(client, ["trace"])
        assert unserved(client, ["trace", "ingest"], model="m") == ["trace", "ingest"]


def test_each_worker_of_a_queue_is_named_until_it_is_silent(
    settings: Settings, database: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_redis(settings) as client:
        for name in ("two", "one"):
            monkeypatch.setattr(presence, "worker_name", lambda name=name: name)
            announce(client, ["trace"])
        client.zadd("circuitbase:listening:trace", {"silent": 0.0})
        assert listening(client, "trace") == ["one", "two"]
