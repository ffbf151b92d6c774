import pytest

from circuitbase.queries import pending
from circuitbase.queries.pending import PendingTraces


def of_sizes(*n_edges: int) -> PendingTraces:
    return PendingTraces("words", "c", tuple(str(place) for place in range(len(n_edges))), n_edges)


def test_a_batch_holds_at_most_so_many_traces_and_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MOST_TRACES", 3)
    monkeypatch.setattr(pending, "MOST_EDGES", 100)
    assert list(of_sizes(10, 10, 10, 10).batches()) == [("0", "1", "2"), ("3",)]
    assert list(of_sizes(60, 30, 20, 90).batches()) == [("0", "1"), ("2",), ("3",)]


def test_a_trace_that_is_larger_than_a_batch_is_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MOST_EDGES", 100)
    assert list(of_sizes(500, 10, 10).batches()) == [("0",), ("1", "2")]
    assert list(of_sizes().batches()) == []
