from itertools import product

import numpy as np
import pytest
from scipy import stats

from circuitbase.graph.permutation import permutation_test


def drawn(seed: int, *, shift: float = 0.0, n: int = 24, columns: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    is_first = np.arange(n) < n // 2
    values = random.exponential(size=(n, columns))
    values[is_first] += shift
    return values, is_first, np.arange(n)


def test_the_difference_is_that_of_the_means_and_p_is_scipys() -> None:
    values, is_first, clusters = drawn(0, shift=0.7)
    found = permutation_test(values, is_first, clusters, permutations=4_999)
    assert found.difference == pytest.approx(values[is_first].mean(axis=0) - values[~is_first].mean(axis=0))
    reference = stats.permutation_test(
        (values[is_first], values[~is_first]),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        n_resamples=4_999,
        vectorized=True,
        rng=np.random.default_rng(1),
    )
    assert found.p == pytest.approx(reference.pvalue, abs=0.02)
    assert (found.exact, found.permutations) == (False, 4_999)


def test_few_clusters_are_permuted_in_every_way() -> None:
    values, is_first, _ = drawn(1, n=8, columns=1)
    clusters = np.array(["a", "a", "b", "b", "c", "c", "d", "d"])
    found = permutation_test(values, is_first, clusters)
    assert found.exact and found.permutations == 6
    sums = values[:, 0].reshape(4, 2).sum(axis=1)
    differences = [
        abs(sum(sums[i] if chosen else -sums[i] for i, chosen in enumerate(way)) / 4)
        for way in product([True, False], repeat=4)
        if sum(way) == 2
    ]
    observed = abs(sums[0] + sums[1] - sums[2] - sums[3]) / 4
    assert found.p[0] == pytest.approx(np.mean([each >= observed - 1e-12 for each in differences]))


def test_sides_of_a_pair_are_swapped_and_nothing_else() -> None:
    values = np.array([[5.0], [9.0], [1.0], [4.9], [8.9], [0.9]])  # each pair differs by a little, in one direction
    is_first = np.array([True, True, True, False, False, False])
    found = permutation_test(values, is_first, np.array([0, 1, 2, 0, 1, 2]))
    assert found.exact and found.permutations == 8
    assert found.p[0] == pytest.approx(2 / 8)
    assert permutation_test(values, is_first, np.arange(6)).p[0] > 0.5  # without the pairs nothing is seen


def test_pairs_and_lone_clusters_go_together() -> None:
    values = np.arange(5.0)[:, None]
    found = permutation_test(values, np.array([True, False, True, False, False]), np.array([0, 0, 1, 2, 3]))
    assert found.permutations == 2 * 3


@pytest.mark.parametrize("per_cluster", [1, 4])
def test_p_values_without_a_difference_are_uniform_with_and_without_clusters(per_cluster: int) -> None:
    random = np.random.default_rng(5)
    small = []
    for seed in range(150):
        shared = np.repeat(random.normal(size=(16, 4)), per_cluster, axis=0)
        values = shared + 0.3 * random.normal(size=shared.shape)
        clusters = np.repeat(np.arange(16), per_cluster)
        found = permutation_test(values, clusters < 8, clusters, permutations=199, seed=seed)
        small += [float(each) for each in found.p]
    assert np.mean(np.array(small) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_a_column_that_never_varies_has_p_of_one() -> None:
    values, is_first, clusters = drawn(2, columns=2)
    values[:, 1] = 0.3
    assert permutation_test(values, is_first, clusters, permutations=99).p[1] == 1


def test_a_group_without_observations_is_an_error() -> None:
    with pytest.raises(ValueError, match="both groups"):
        permutation_test(np.zeros((3, 1)), np.array([True, True, True]), np.arange(3))
