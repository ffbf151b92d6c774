import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from circuitbase.graph.path_support import realised_paths


def columns(rows: list[tuple[int, int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return table[:, 0], table[:, 1], table[:, 2]


def test_two_edges_make_a_path_only_through_the_same_node() -> None:
    assert realised_paths(*columns([(0, 1, 5), (1, 5, 9)])) == {(0, 1)}
    assert realised_paths(*columns([(0, 1, 5), (1, 6, 9)])) == set()  # node 6 is the unit at another position
    assert realised_paths(*columns([(0, 1, 5), (1, 6, 9), (0, 2, 6)])) == {(0, 1)}
    assert realised_paths(*columns([])) == set()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(7, 12)), max_size=12), st.integers(0, 6))
def test_as_by_every_pair(rows: list[tuple[int, int, int]], shift: int) -> None:
    # sources and targets share numbers once shifted, so that some rows meet
    moved = [(edge, source, target - shift) for edge, source, target in rows]
    expected = {(a[0], b[0]) for a in moved for b in moved if a[2] == b[1]}
    assert realised_paths(*columns(moved)) == expected
