import pytest

from circuitbase.workers import queue_order
from circuitbase.workers.queue_order import StayWithModel


def test_what_was_traced_is_stored_before_anything_else_is_traced() -> None:
    order = StayWithModel(["trace.a", "ingest", "trace.b"])
    assert order.consume(3)[0] == "ingest"
    order.rotate("ingest")
    assert order.consume(1) == ["ingest"]


def test_the_queue_of_the_last_trace_job_stays_first() -> None:
    order = StayWithModel(["trace.a", "ingest", "trace.b", "trace.c"])
    for queue in ("trace.b", "ingest", "trace.b"):
        assert order.rotate(queue) == queue
        assert order.consume(4)[:2] == ["ingest", "trace.b"]
    order.rotate("trace.c")  # the other was empty
    assert order.consume(4)[1] == "trace.c"


def test_a_model_gives_way_after_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(queue_order.time, "monotonic", lambda: now)
    order = StayWithModel(["trace.a", "trace.b"])
    order.rotate("trace.a")
    now = queue_order.TURN_SECONDS - 1
    order.rotate("trace.a")
    assert order.consume(2) == ["trace.a", "trace.b"]
    now = queue_order.TURN_SECONDS
    order.rotate("trace.a")
    assert order.consume(2) == ["trace.b", "trace.a"]
    order.rotate("trace.a")  # the other was empty: a new turn
    assert order.consume(2) == ["trace.a", "trace.b"]


def test_new_queues_come_in_and_old_ones_go() -> None:
    order = StayWithModel(["trace.a", "trace.b"])
    order.rotate("trace.b")
    order.update(["trace.b", "trace.c", "ingest"])
    assert sorted(order.consume(9)) == ["ingest", "trace.b", "trace.c"]
    order.rotate("trace.a")  # a message of a queue that was given up
    assert sorted(order.consume(9)) == ["ingest", "trace.b", "trace.c"]


def test_workers_that_begin_together_spread_over_the_models() -> None:
    names = [f"trace.{letter}" for letter in "abcdefgh"]
    assert len({StayWithModel(names).consume(1)[0] for _ in range(64)}) > 1
