import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix

from circuitbase.graph.shared_influence import clusters_of, likeness, silhouette


def planted(seed: int, *, mechanisms: int, per_mechanism: int = 12, edges: int = 40) -> tuple[csr_matrix, np.ndarray]:
    """Returns traces that each follow one of some mechanisms, with edges of their own beside it."""
    random = np.random.default_rng(seed)
    which = np.repeat(np.arange(mechanisms), per_mechanism)
    dense = np.zeros((len(which), edges * (mechanisms + 1)))
    strength = random.exponential(size=edges)
    for row, mechanism in enumerate(which):
        own = slice(mechanism * edges, (mechanism + 1) * edges)
        dense[row, own] = strength * (random.random(edges) < 0.8)
        noise = mechanisms * edges + random.integers(0, edges, size=5)
        dense[row, noise] = random.exponential(size=5)
    return csr_matrix(dense), which


@settings(deadline=None, max_examples=40)
@given(arrays(np.float64, (5, 7), elements=st.sampled_from([0.0, 0.0, 0.25, 1.0, 2.0])))
def test_likeness_is_the_sum_of_minima_over_the_sum_of_maxima(values: np.ndarray) -> None:
    found = likeness(csr_matrix(values))
    for i in range(5):
        for j in range(5):
            most = np.maximum(values[i], values[j]).sum()
            expected = 1.0 if i == j else np.minimum(values[i], values[j]).sum() / most if most else 0.0
            assert found[i, j] == pytest.approx(expected)


@pytest.mark.parametrize("mechanisms", [2, 3])
def test_a_set_with_several_mechanisms_shows_as_so_many_clusters(mechanisms: int) -> None:
    influence, which = planted(0, mechanisms=mechanisms)
    found = clusters_of(likeness(influence))
    assert found.number == mechanisms and found.silhouette > 0.3
    assert len({(a, b) for a, b in zip(which.tolist(), found.cluster.tolist(), strict=True)}) == mechanisms


def test_a_set_with_one_mechanism_is_one_cluster() -> None:
    influence, _ = planted(1, mechanisms=1)
    found = clusters_of(likeness(influence))
    assert (found.number, found.silhouette) == (1, 0.0)


def test_the_number_of_clusters_can_be_given_and_the_largest_comes_first() -> None:
    influence, _ = planted(2, mechanisms=3)
    found = clusters_of(likeness(influence[[*range(12), 12, 13, 24]]), number=3)
    assert found.number == 3
    assert np.bincount(found.cluster).tolist() == [12, 2, 1]
    assert clusters_of(likeness(influence), number=1).number == 1


def test_the_order_of_traces_does_not_matter() -> None:
    influence, _ = planted(3, mechanisms=2)
    order = np.random.default_rng(0).permutation(influence.shape[0])
    first, second = clusters_of(likeness(influence)), clusters_of(likeness(influence[order]))
    pairs = {(a, b) for a, b in zip(first.cluster[order].tolist(), second.cluster.tolist(), strict=True)}
    assert len(pairs) == first.number == second.number
    assert second.silhouette == pytest.approx(first.silhouette)


def test_the_silhouette_by_hand() -> None:
    distance = np.array([[0.0, 1.0, 4.0], [1.0, 0.0, 3.0], [4.0, 3.0, 0.0]])
    assert silhouette(distance, np.array([0, 0, 1])) == pytest.approx((3 / 4 + 2 / 3 + 0) / 3)
    assert silhouette(distance, np.array([0, 0, 0])) == 0.0


@pytest.mark.parametrize("n", [0, 1])
def test_one_trace_is_one_cluster(n: int) -> None:
    assert clusters_of(likeness(csr_matrix(np.ones((n, 2))))).number == n
