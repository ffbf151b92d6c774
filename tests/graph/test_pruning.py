import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from circuitbase.graph.pruning import kept_up_to, pruned
from circuitbase.schema.kinds import NodeKind
from tests.graph.edge_lists import HAND, EdgeList, dense_influence, dense_shares, edge_lists

FRACTIONS = st.sampled_from([0.3, 0.5, 0.8, 0.9, 0.98, 1.0])
ALWAYS = (NodeKind.INPUT_TOKEN, NodeKind.OUTPUT_TOKEN)


def edges(graph: EdgeList, kept: np.ndarray) -> set[tuple[int, int]]:
    return {(int(s), int(t)) for s, t in zip(graph.source[kept], graph.target[kept], strict=True)}


def test_the_cut_is_the_first_score_at_which_the_running_sum_reaches_the_fraction() -> None:
    score = np.array([1.0, 4.0, 2.0, 3.0])  # running sums 4, 7, 9, 10
    assert kept_up_to(score, fraction=0.7).tolist() == [False, True, False, True]
    assert kept_up_to(score, fraction=0.71).tolist() == [False, True, True, True]
    assert kept_up_to(score, fraction=0.01).tolist() == [False, True, False, False]


def test_scores_equal_to_the_cut_stay_together() -> None:
    assert kept_up_to(np.array([2.0, 2.0, 2.0, 1.0]), fraction=0.2).tolist() == [True, True, True, False]


def test_at_fraction_one_every_positive_score_stays_and_no_zero() -> None:
    score = np.array([0.0, 1.0, 1e-30, 0.0, 0.3])
    assert kept_up_to(score, fraction=1.0).tolist() == [False, True, True, False, True]


def test_where_nothing_has_influence_nothing_is_kept() -> None:
    assert not kept_up_to(np.zeros(3), fraction=0.8).any()
    assert len(kept_up_to(np.zeros(0), fraction=0.8)) == 0


def test_edge_scores_of_the_twelve_nodes_computed_by_hand() -> None:
    # .80 of the node influence (total 5/3) is reached among the nodes of 1/4, so 0 (1/12) and 10 (1/6)
    # fall below; 10 is a token and stays. Without 0, 3 is left with two inputs.
    found = pruned(*HAND.columns, node_threshold=0.8, edge_threshold=1.0)
    score = dict(zip(zip(HAND.source.tolist(), HAND.target.tolist(), strict=True), found.edge_score, strict=True))
    assert {edge: score[edge] for edge in score if edge[1] == 11} == {(n, 11): 1 / 4 for n in (1, 3, 6, 8)}
    assert {edge: score[edge] for edge in score if edge[1] == 3} == {(0, 3): 0, (1, 3): 1 / 8, (6, 3): 1 / 8}
    assert {edge: score[edge] for edge in score if edge[1] == 1} == {(9, 1): 3 / 16, (10, 1): 3 / 16}
    assert score[(9, 0)] == 0


def test_kept_nodes_and_edges_of_the_twelve_nodes_computed_by_hand() -> None:
    found = pruned(*HAND.columns, node_threshold=0.8, edge_threshold=0.98)
    assert np.flatnonzero(found.kept_nodes).tolist() == [1, 3, 6, 8, 9, 10, 11]
    assert edges(HAND, found.kept_edges) == {(1, 11), (3, 11), (6, 11), (8, 11), (1, 3), (6, 3), (9, 1), (10, 1)}


def test_a_lower_edge_threshold_drops_whole_ties() -> None:
    # edge scores 1/4 (four), 3/16 (two), 1/8 (two), total 13/8; 60 % is reached at the last 1/4
    found = pruned(*HAND.columns, node_threshold=0.8, edge_threshold=0.6)
    # then 3 has no input and 1 neither, so they go, and their edges with them
    assert edges(HAND, found.kept_edges) == {(6, 11), (8, 11)}
    assert np.flatnonzero(found.kept_nodes).tolist() == [6, 8, 9, 10, 11]


def test_removal_of_what_dangles_cascades() -> None:
    # token 0 -> 1 -> 2 -> 3 -> output 5, token 4 -> output 5: the weak start of the chain is cut
    graph = EdgeList(
        kind=np.array([0, 1, 1, 1, 0, 3], dtype=np.uint8),
        source=np.array([0, 4, 1, 2, 3, 4]),
        target=np.array([1, 1, 2, 3, 5, 5]),
        weight=np.array([1.0, 1.0, 1.0, 1.0, 0.2, 1.0]),
        w=np.eye(6)[5],
    )
    whole = pruned(*graph.columns, node_threshold=1.0, edge_threshold=1.0)
    assert whole.kept_nodes.all()
    assert whole.kept_edges.all()
    # the two edges into 1 carry half of what its out-edge carries each, and fall below the cut first
    found = pruned(*graph.columns, node_threshold=1.0, edge_threshold=0.85)
    assert edges(graph, found.kept_edges) == {(4, 5)}
    assert np.flatnonzero(found.kept_nodes).tolist() == [0, 4, 5]


def test_tokens_and_outputs_stay_without_any_edge() -> None:
    graph = EdgeList(
        kind=np.array([0, 1, 2, 3], dtype=np.uint8),
        source=np.array([], dtype=np.int64),
        target=np.array([], dtype=np.int64),
        weight=np.array([]),
        w=np.eye(4)[3],
    )
    found = pruned(*graph.columns, node_threshold=0.8, edge_threshold=0.98)
    assert found.kept_nodes.tolist() == [True, False, False, True]


def test_what_was_lost_before_counts_in_the_influence_but_not_in_edge_scores() -> None:
    # the output's input was 4, of which 2 were lost before this graph
    graph = EdgeList(
        kind=np.array([0, 1, 3], dtype=np.uint8),
        source=np.array([0, 0, 1]),
        target=np.array([1, 2, 2]),
        weight=np.array([1.0, 1.0, -1.0]),
        w=np.eye(3)[2],
    )
    found = pruned(*graph.columns, node_threshold=1.0, edge_threshold=1.0, total=np.array([0.0, 1.0, 4.0]))
    np.testing.assert_array_equal(found.node_influence, [0.5, 0.25, 0.0])
    np.testing.assert_array_equal(found.edge_influence, [0.25, 0.25, 0.25])
    np.testing.assert_array_equal(found.edge_score, [0.5, 0.5, 0.5])


@given(edge_lists(), FRACTIONS, FRACTIONS)
def test_pruning_follows_the_rule_step_by_step_as_dense_matrices_do(
    graph: EdgeList, node_threshold: float, edge_threshold: float
) -> None:
    found = pruned(*graph.columns, node_threshold=node_threshold, edge_threshold=edge_threshold)
    nodes, kept = dense_pruning(graph, node_threshold, edge_threshold)
    assert edges(graph, found.kept_edges) == kept
    assert set(np.flatnonzero(found.kept_nodes).tolist()) == nodes


@given(edge_lists(), FRACTIONS, FRACTIONS)
def test_nothing_dangles_after_pruning(graph: EdgeList, node_threshold: float, edge_threshold: float) -> None:
    found = pruned(*graph.columns, node_threshold=node_threshold, edge_threshold=edge_threshold)
    kept = edges(graph, found.kept_edges)
    sources, targets = {s for s, _ in kept}, {t for _, t in kept}
    for node in np.flatnonzero(found.kept_nodes).tolist():
        if graph.kind[node] not in ALWAYS:
            assert node in sources
        if graph.kind[node] == NodeKind.FEATURE:
            assert node in targets
    assert sources | targets <= set(np.flatnonzero(found.kept_nodes).tolist())
    assert found.kept_nodes[np.isin(graph.kind, ALWAYS)].all()


@given(edge_lists())
def test_at_thresholds_of_one_only_what_reaches_no_output_or_has_no_cause_is_lost(graph: EdgeList) -> None:
    found = pruned(*graph.columns, node_threshold=1.0, edge_threshold=1.0)
    lost = ~found.kept_edges
    causes = has_cause(graph)
    assert ((found.node_influence[graph.target] + graph.w[graph.target] == 0) | ~causes[graph.source])[lost].all()


@given(edge_lists(), FRACTIONS)
def test_kept_nodes_hold_the_fraction_of_influence_asked_for(graph: EdgeList, fraction: float) -> None:
    found = pruned(*graph.columns, node_threshold=fraction, edge_threshold=1.0)
    kept = kept_up_to(found.node_influence, fraction=fraction)
    total = found.node_influence.sum()
    assert found.node_influence[kept].sum() >= fraction * total - 1e-12
    if kept.any():
        smallest = found.node_influence[kept].min()
        assert found.node_influence[kept & (found.node_influence > smallest)].sum() < fraction * total + 1e-12


@given(edge_lists(), FRACTIONS, FRACTIONS)
def test_single_precision_weights_are_judged_in_double_precision(
    graph: EdgeList, node_threshold: float, edge_threshold: float
) -> None:
    in_double = pruned(*graph.columns, node_threshold=node_threshold, edge_threshold=edge_threshold)
    # float32 weights are widened before anything is divided, so only the rounding of the input differs
    exact = EdgeList(graph.kind, graph.source, graph.target, graph.weight.astype(np.float32), graph.w)
    again = EdgeList(graph.kind, graph.source, graph.target, exact.weight.astype(np.float64), graph.w)
    a = pruned(*exact.columns, node_threshold=node_threshold, edge_threshold=edge_threshold)
    b = pruned(*again.columns, node_threshold=node_threshold, edge_threshold=edge_threshold)
    np.testing.assert_array_equal(a.kept_edges, b.kept_edges)
    np.testing.assert_allclose(a.node_influence, in_double.node_influence, atol=1e-5)


def has_cause(graph: EdgeList) -> np.ndarray:
    """Which nodes are tokens or errors, or have one above them in the graph's causal order."""
    found = np.isin(graph.kind, (NodeKind.INPUT_TOKEN, NodeKind.LAYER_ERROR))
    for _ in range(graph.n_nodes):
        found = found | (np.bincount(graph.target[found[graph.source]], minlength=graph.n_nodes) > 0)
    return found


def dense_pruning(graph: EdgeList, node_threshold: float, edge_threshold: float) -> tuple[set[int], set]:
    """The rule of methods.md section 2, written on matrices."""
    magnitude = graph.magnitude()
    always = np.isin(graph.kind, ALWAYS)
    keep = dense_cut(dense_influence(magnitude, graph.w), node_threshold) | always
    inside = magnitude * keep[:, None] * keep[None, :]
    scores = dense_shares(inside) * (dense_influence(inside, graph.w) + graph.w)[:, None]
    kept = dense_cut(scores.ravel(), edge_threshold).reshape(scores.shape)
    while True:
        no_output = ~kept.any(0) & ~always
        no_input = ~kept.any(1) & (graph.kind == NodeKind.FEATURE)
        dangling = keep & (no_output | no_input)
        if not dangling.any():
            target, source = np.nonzero(kept)
            return set(np.flatnonzero(keep).tolist()), set(zip(source.tolist(), target.tolist(), strict=True))
        keep = keep & ~dangling
        kept = kept & keep[:, None] & keep[None, :]


def dense_cut(score: np.ndarray, fraction: float) -> np.ndarray:
    # rounded, since the closed form and the sum of walks break ties in their last bits
    score = np.round(score, 12)
    ordered = np.sort(score)[::-1]
    reached = np.flatnonzero(np.cumsum(ordered) >= fraction * ordered.sum() - 1e-10)
    cut = ordered[reached[0]]
    return (score >= cut) & (score > 0)
