import numpy as np
import pytest

from circuitbase.graph.coverage import Coverage


def seen(presence: np.ndarray, *, traces: int, seed: int) -> tuple[Coverage, np.ndarray]:
    """Returns the coverage of a drawn sample, and which edges it showed."""
    drawn = np.random.default_rng(seed).random((traces, len(presence))) < presence
    times = drawn.sum(axis=0)
    found = Coverage(
        traces=traces,
        edges=int((times > 0).sum()),
        occurrences=int(times.sum()),
        singletons=int((times == 1).sum()),
        doubletons=int((times == 2).sum()),
    )
    return found, times > 0


def test_coverage_is_the_share_of_what_the_next_trace_shows_that_was_seen_before() -> None:
    presence = np.random.default_rng(0).beta(0.3, 3.0, size=20_000)
    found, known = seen(presence, traces=50, seed=1)
    assert found.coverage == pytest.approx(presence[known].sum() / presence.sum(), abs=0.01)


def test_new_edges_are_as_many_as_further_traces_show() -> None:
    presence = np.random.default_rng(2).beta(0.5, 4.0, size=20_000)
    found, known = seen(presence, traces=60, seed=3)
    _, later = seen(presence, traces=30, seed=4)
    assert found.new_edges(30) == pytest.approx((later & ~known).sum(), rel=0.15)
    assert found.new_edges(0) == 0
    assert found.new_edges(10**9) == pytest.approx(found.unseen)
    assert found.unseen <= (~known & (presence > 0)).sum()  # it is a lower estimate


def test_by_hand() -> None:
    found = Coverage(traces=4, edges=5, occurrences=10, singletons=2, doubletons=1)
    assert found.coverage == 0.8
    assert found.unseen == pytest.approx(3 / 4 * 2**2 / 2)
    assert Coverage(traces=4, edges=5, occurrences=10, singletons=2, doubletons=0).unseen == pytest.approx(3 / 4)


def test_what_was_always_there_leaves_nothing_unseen_and_nothing_has_no_coverage() -> None:
    assert Coverage(traces=9, edges=3, occurrences=27, singletons=0, doubletons=0).new_edges(100) == 0
    empty = Coverage(traces=0, edges=0, occurrences=0, singletons=0, doubletons=0)
    assert (empty.coverage, empty.unseen) == (None, 0)
