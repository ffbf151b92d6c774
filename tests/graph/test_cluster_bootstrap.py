import numpy as np
import pytest

from circuitbase.graph.cluster_bootstrap import bootstrapped_means, bootstrapped_ratios


@pytest.mark.parametrize(("n_clusters", "per_cluster"), [(60, 1), (40, 5), (10, 3)])
def test_intervals_hold_the_truth_in_95_percent_of_samples(n_clusters: int, per_cluster: int) -> None:
    random = np.random.default_rng(n_clusters)
    holds = []
    for seed in range(120):
        shared = np.repeat(random.normal(loc=2.0, size=(n_clusters, 3)), per_cluster, axis=0)
        values = shared + 0.5 * random.normal(size=shared.shape)
        clusters = np.repeat(np.arange(n_clusters), per_cluster)
        found = bootstrapped_means(values, clusters, samples=400, seed=seed)
        holds += list((found.low <= 2.0) & (found.high >= 2.0))
    assert np.mean(holds) == pytest.approx(0.95, abs=0.03)


def test_intervals_that_take_dependent_observations_alone_are_too_narrow() -> None:
    random = np.random.default_rng(0)
    values = np.repeat(random.normal(size=(20, 1)), 10, axis=0)
    clusters = np.repeat(np.arange(20), 10)
    together = bootstrapped_means(values, clusters)
    alone = bootstrapped_means(values, np.arange(200))
    assert (together.high - together.low)[0] > 2 * (alone.high - alone.low)[0]
    assert together.mean == pytest.approx(values.mean(axis=0))
    assert alone.mean == pytest.approx(values.mean(axis=0))


def test_a_ratio_is_of_sums_and_unknown_where_there_is_nothing() -> None:
    found = bootstrapped_ratios(
        np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[1.0, 0.0], [1.0, 0.0]]), np.array(["a", "b"])
    )
    assert found.mean[0] == 2 and np.isnan(found.mean[1])
    assert (found.low[0], found.high[0], found.clusters) == (1, 3, 2)
    assert np.isnan(found.low[1])


def test_draws_depend_on_the_seed_alone() -> None:
    values = np.random.default_rng(1).normal(size=(30, 2))
    first, again, other = (bootstrapped_means(values, np.arange(30), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.low, again.low) and not np.array_equal(first.low, other.low)


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ValueError, match="observations"):
        bootstrapped_means(np.zeros((0, 2)), np.zeros(0))
