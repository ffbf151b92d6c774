from collections.abc import Iterator

import pytest
import redis
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import pending_rollups
from circuitbase.workers.connection import open_redis
from circuitbase.workers.pending_rollups import note_stored, take_idle


@pytest.fixture
def client(settings: Settings, database: Driver) -> Iterator[redis.Redis]:
    with open_redis(settings) as client:
        yield client


def test_every_fiftieth_stored_trace_of_a_set_asks_for_a_roll_up(client: redis.Redis) -> None:
    asked = [number for number in range(1, 121) if note_stored(client, "capitals")]
    assert asked == [50, 100]
    assert not note_stored(client, "birds")


def test_a_set_is_taken_once_when_it_has_been_idle(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    note_stored(client, "capitals")
    assert take_idle(client) == []
    monkeypatch.setattr(pending_rollups, "ROLL_UP_AFTER_SECONDS", -1.0)
    note_stored(client, "capitals")
    assert take_idle(client) == ["capitals"]
    assert take_idle(client) == []
