import numpy as np
import scipy.cluster.hierarchy as hierarchy
from hypothesis import given, settings
from hypothesis import strategies as st

from circuitbase.graph.complete_link import complete_link


def likeness(seed: int, n: int = 12) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n, 3))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    return unit @ unit.T


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(-0.5, 0.95))
def test_groups_are_those_of_scipy(seed: int, threshold: float) -> None:
    alike = likeness(seed)
    tree = hierarchy.linkage(1 - alike[np.triu_indices(len(alike), 1)], method="complete")
    labels = hierarchy.fcluster(tree, 1 - threshold, criterion="distance")
    expected = {tuple(np.flatnonzero(labels == label).tolist()) for label in labels}
    assert set(complete_link(alike, threshold=threshold)) == expected


def test_all_pairs_of_a_group_reach_the_threshold() -> None:
    alike = np.array([[1, 0.9, 0.7], [0.9, 1, 0.9], [0.7, 0.9, 1.0]])
    # equal likeness: the smaller rows join first, and the third is too unlike the first
    assert complete_link(alike, threshold=0.8) == [(0, 1), (2,)]
    assert complete_link(alike, threshold=0.7) == [(0, 1, 2)]


def test_constraints_hold_whatever_the_likeness() -> None:
    alike = np.ones((5, 5)) - 0.001
    alike[0, 4] = alike[4, 0] = -1.0
    found = complete_link(alike, threshold=0.5, together=[(4, 0)], apart=[(1, 2)], shut=[4])
    assert found[0] == (0, 4)
    assert not any({1, 2} <= set(group) for group in found)
    assert complete_link(alike, threshold=0.5, shut=[2])[-1] != (2, 3) and (2,) in complete_link(
        alike, threshold=0.5, shut=[2]
    )


def test_nothing_has_no_groups() -> None:
    assert complete_link(np.zeros((0, 0)), threshold=0.5) == []
