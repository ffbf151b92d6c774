"""Two workers store at a time; a third begins when one of them ends."""

from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers import seats
from circuitbase.workers.connection import open_redis
from circuitbase.workers.following_queues import NO_QUEUE, first_queues
from circuitbase.workers.presence import listening
from circuitbase.workers.seats import leave_seat, take_seat
from circuitbase.workers.worker_options import WorkerOptions
from tests.workers.acting import PROGRAM
from tests.workers.running import eventually, running_worker

PATIENCE_SECONDS = 60


def test_there_are_two_seats_and_who_has_one_keeps_it(
    settings: Settings, database: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_redis(settings) as client:
        for name, has_one in (("a:1", True), ("b:2", True), ("c:3", False), ("a:1", True)):
            monkeypatch.setattr(seats, "worker_name", lambda name=name: name)
            assert take_seat(client) is has_one
        monkeypatch.setattr(seats, "worker_name", lambda: "c:3")
        assert first_queues(client, WorkerOptions(["trace", "ingest"])) == ["trace"]
        assert first_queues(client, WorkerOptions(["ingest"])) == [NO_QUEUE]
        monkeypatch.setattr(seats, "worker_name", lambda: "b:2")
        leave_seat(client)
        monkeypatch.setattr(seats, "worker_name", lambda: "c:3")
        assert take_seat(client)


def test_a_seat_that_is_not_renewed_is_free(
    settings: Settings, database: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_redis(settings) as client:
        monkeypatch.setattr(seats, "SEATS", 1)
        monkeypatch.setattr(seats, "SEAT_SECONDS", -1)
        monkeypatch.setattr(seats, "worker_name", lambda: "a:1")
        assert take_seat(client)
        monkeypatch.setattr(seats, "worker_name", lambda: "b:2")
        assert take_seat(client)


def test_a_worker_that_waits_for_a_seat_begins_when_one_is_free(
    settings: Settings, database: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_redis(settings) as client:
        for name in ("a:1", "b:2"):
            monkeypatch.setattr(seats, "worker_name", lambda name=name: name)
            take_seat(client)
        with running_worker(settings, queues="ingest", log=tmp_path / "worker.log", program=PROGRAM) as worker:
            assert "2 workers store already" in worker.log.read_text()
            assert listening(client, "ingest") == []
            leave_seat(client)
            eventually(lambda: len(listening(client, "ingest")) == 1, seconds=PATIENCE_SECONDS)
            eventually(lambda: "Started consuming from ingest" in worker.log.read_text(), seconds=PATIENCE_SECONDS)
