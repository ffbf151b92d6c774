import numpy as np

from circuitbase.graph.consensus import edge_consensus, prompt_consensus


def test_core_edges_hold_everywhere_and_contingent_ones_somewhere() -> None:
    counts = np.array([[4, 2], [4, 1], [0, 0], [1, 2]])
    found = edge_consensus(counts, np.array([4, 2]), np.array([2, 2]))
    assert found.is_core.tolist() == [True, False, False, False]
    assert found.is_contingent.tolist() == [False, True, False, True]
    assert found.presence[1].tolist() == [1.0, 0.5]
    assert found.kept.tolist() == [1.0, 0.75, 0.0, 0.625]


def test_what_is_kept_is_the_share_of_configurations_averaged_over_prompts() -> None:
    keeps = np.random.default_rng(0).random((3, 7, 5)) < 0.5
    found = edge_consensus(keeps.sum(axis=1).T, np.full(3, 7), np.full(3, 1))
    np.testing.assert_allclose(found.kept, keeps.mean(axis=0).mean(axis=0))


def test_agreement_is_over_the_prompts_that_keep_an_edge_at_all() -> None:
    keeps = np.zeros((2, 4, 3), dtype=bool)
    keeps[:, 0, 0] = True
    keeps[0, 1, 0] = True
    keeps[1, 2, 1] = True
    found = prompt_consensus(keeps)
    assert found.prompts.tolist() == [2, 1, 0]
    np.testing.assert_array_equal(found.agreement, [0.75, 0.5, np.nan])
    np.testing.assert_array_equal(found.in_all, [0.5, 0.0, np.nan])
