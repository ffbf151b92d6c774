import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from circuitbase.graph.edge_blocks import DenseBlock, EdgeBlock, SparseBlock, blocks_of
from circuitbase.graph.influence import absolute_input, block_influence
from circuitbase.graph.pruning import Pruning, carried_by_edges, kept_up_to
from circuitbase.graph.pruning import pruned as pruned_blocks
from circuitbase.schema.kinds import NodeKind
from tests.graph.edge_lists import HAND, EdgeList, dense_influence, dense_shares, edge_lists

FRACTIONS = st.sampled_from([0.3, 0.5, 0.8, 0.9, 0.98, 1.0])
ALWAYS = (NodeKind.INPUT_TOKEN, NodeKind.OUTPUT_TOKEN)


def pruned(
    graph: EdgeList,
    *,
    node_threshold: float,
    edge_threshold: float,
    total: np.ndarray | None = None,
    dense: bool = False,
    silent: np.ndarray | None = None,
) -> Pruning:
    if total is None:
        total = absolute_input(graph.target, graph.weight, n_nodes=graph.n_nodes)
    blocks = graph_blocks(graph, dense=dense)
    return pruned_blocks(
        graph.kind,
        blocks,
        graph.w,
        influence=block_influence(blocks, total, graph.w),
        node_threshold=node_threshold,
        edge_threshold=edge_threshold,
        silent=silent,
    )


def graph_blocks(graph: EdgeList, *, dense: bool = False) -> list[EdgeBlock]:
    sparse = blocks_of(graph.source, graph.target, graph.weight, n_nodes=graph.n_nodes)
    return [as_dense(block) for block in sparse] if dense else list(sparse)


def as_dense(block: SparseBlock) -> DenseBlock:
    source = np.unique(block.source)[::-1].astype(np.int64)  # in another order than the nodes'
    weight = np.zeros((len(block.target), len(source)))
    found = block.edges(np.ones(block.n_edges, dtype=bool))
    row = np.searchsorted(block.target, found.target)
    weight[row, len(source) - 1 - np.searchsorted(source[::-1], found.source)] = found.weight
    return DenseBlock(block.target, source, weight)


def edge_pairs(block: EdgeBlock) -> list[tuple[int, int]]:
    found = block.edges(np.ones(block.n_edges, dtype=bool))
    return list(zip(found.source.tolist(), found.target.tolist(), strict=True))


def edges(found: Pruning) -> set[tuple[int, int]]:
    return set(zip(found.edges.source.tolist(), found.edges.target.tolist(), strict=True))


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
    inside = [block.among(np.arange(12) != 0) for block in graph_blocks(HAND)]
    carried = carried_by_edges(inside, HAND.w)
    score = {
        edge: value
        for block in inside
        for edge, value in zip(edge_pairs(block), block.scores(carried[block.target]).tolist(), strict=True)
    }
    assert {edge: score[edge] for edge in score if edge[1] == 11} == {(n, 11): 1 / 4 for n in (1, 3, 6, 8)}
    assert {edge: score[edge] for edge in score if edge[1] == 3} == {(1, 3): 1 / 8, (6, 3): 1 / 8}
    assert {edge: score[edge] for edge in score if edge[1] == 1} == {(9, 1): 3 / 16, (10, 1): 3 / 16}
    assert (9, 0) not in score


def test_kept_nodes_and_edges_of_the_twelve_nodes_computed_by_hand() -> None:
    found = pruned(HAND, node_threshold=0.8, edge_threshold=0.98)
    assert np.flatnonzero(found.kept_nodes).tolist() == [1, 3, 6, 8, 9, 10, 11]
    assert edges(found) == {(1, 11), (3, 11), (6, 11), (8, 11), (1, 3), (6, 3), (9, 1), (10, 1)}


def test_a_lower_edge_threshold_drops_whole_ties() -> None:
    # edge scores 1/4 (four), 3/16 (two), 1/8 (two), total 13/8; 60 % is reached at the last 1/4
    found = pruned(HAND, node_threshold=0.8, edge_threshold=0.6)
    # then 3 has no input and 1 neither, so they go, and their edges with them
    assert edges(found) == {(6, 11), (8, 11)}
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
    whole = pruned(graph, node_threshold=1.0, edge_threshold=1.0)
    assert whole.kept_nodes.all()
    assert len(edges(whole)) == 6
    # the two edges into 1 carry half of what its out-edge carries each, and fall below the cut first
    found = pruned(graph, node_threshold=1.0, edge_threshold=0.85)
    assert edges(found) == {(4, 5)}
    assert np.flatnonzero(found.kept_nodes).tolist() == [0, 4, 5]


def test_tokens_and_outputs_stay_without_any_edge() -> None:
    graph = EdgeList(
        kind=np.array([0, 1, 2, 3], dtype=np.uint8),
        source=np.array([], dtype=np.int64),
        target=np.array([], dtype=np.int64),
        weight=np.array([]),
        w=np.eye(4)[3],
    )
    found = pruned(graph, node_threshold=0.8, edge_threshold=0.98)
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
    blocks = graph_blocks(graph)
    np.testing.assert_array_equal(block_influence(blocks, np.array([0.0, 1.0, 4.0]), graph.w), [0.5, 0.25, 0.0])
    np.testing.assert_array_equal(carried_by_edges(blocks, graph.w), [0, 0.5, 0.5])


def test_a_silent_node_stays_with_the_largest_of_its_inputs_from_kept_nodes() -> None:
    # tokens 0 and 1 -> output 4; 0, 1 and the feature 2 (which leads nowhere) -> silent feature 3
    graph = EdgeList(
        kind=np.array([0, 0, 1, 1, 3], dtype=np.uint8),
        source=np.array([0, 1, 0, 1, 2, 0]),
        target=np.array([4, 4, 3, 3, 3, 2]),
        weight=np.array([1.0, 1.0, -8.0, 1.0, 50.0, 1.0]),
        w=np.eye(5)[4],
    )
    silent = np.eye(5, dtype=bool)[3]
    found = pruned(graph, node_threshold=1.0, edge_threshold=0.8, silent=silent)
    assert np.flatnonzero(found.kept_nodes).tolist() == [0, 1, 3, 4]
    assert edges(found) == {(0, 4), (1, 4), (0, 3)}
    assert np.flatnonzero(pruned(graph, node_threshold=1.0, edge_threshold=0.8).kept_nodes).tolist() == [0, 1, 4]


def test_a_feature_that_the_trace_ends_in_stays_though_all_its_inputs_are_cut() -> None:
    # tokens 0 to 3 -> feature 4, token 0 -> feature 5: the trace ends in both, and 4 has no large input
    graph = EdgeList(
        kind=np.array([0, 0, 0, 0, 1, 1], dtype=np.uint8),
        source=np.array([0, 1, 2, 3, 0]),
        target=np.array([4, 4, 4, 4, 5]),
        weight=np.ones(5),
        w=np.array([0, 0, 0, 0, 1.0, 1.0]),
    )
    found = pruned(graph, node_threshold=1.0, edge_threshold=0.5)
    assert edges(found) == {(0, 5)}
    assert found.kept_nodes.all()


@given(edge_lists(), FRACTIONS, FRACTIONS)
def test_dense_blocks_are_pruned_as_lists_of_edges_are(
    graph: EdgeList, node_threshold: float, edge_threshold: float
) -> None:
    lists = pruned(graph, node_threshold=node_threshold, edge_threshold=edge_threshold)
    dense = pruned(graph, node_threshold=node_threshold, edge_threshold=edge_threshold, dense=True)
    assert edges(lists) == edges(dense)
    np.testing.assert_array_equal(lists.kept_nodes, dense.kept_nodes)


@given(edge_lists(), FRACTIONS, FRACTIONS)
def test_pruning_follows_the_rule_step_by_step_as_dense_matrices_do(
    graph: EdgeList, node_threshold: float, edge_threshold: float
) -> None:
    found = pruned(graph, node_threshold=node_threshold, edge_threshold=edge_threshold)
    nodes, kept = dense_pruning(graph, node_threshold, edge_threshold)
    assert edges(found) == kept
    assert set(np.flatnonzero(found.kept_nodes).tolist()) == nodes


@given(edge_lists(), FRACTIONS, FRACTIONS)
def test_nothing_dangles_after_pruning(graph: EdgeList, node_threshold: float, edge_threshold: float) -> None:
    found = pruned(graph, node_threshold=node_threshold, edge_threshold=edge_threshold)
    kept = edges(found)
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
    found = pruned(graph, node_threshold=1.0, edge_threshold=1.0)
    kept = edges(found)
    influence = total_influence(graph)
    causes = has_cause(graph)
    for source, target in zip(graph.source.tolist(), graph.target.tolist(), strict=True):
        assert (source, target) in kept or influence[target] + graph.w[target] == 0 or not causes[source]


@given(edge_lists(), FRACTIONS)
def test_kept_nodes_hold_the_fraction_of_influence_asked_for(graph: EdgeList, fraction: float) -> None:
    influence = total_influence(graph)
    kept = kept_up_to(influence, fraction=fraction)
    total = influence.sum()
    assert influence[kept].sum() >= fraction * total - 1e-12
    if kept.any():
        smallest = influence[kept].min()
        larger = influence > smallest * (1 + 1e-10)  # what is equal but for rounding stays together
        assert influence[kept & larger].sum() < fraction * total + 1e-12


@given(edge_lists(), FRACTIONS, FRACTIONS)
def test_single_precision_weights_are_judged_in_double_precision(
    graph: EdgeList, node_threshold: float, edge_threshold: float
) -> None:
    # float32 weights are widened before anything is divided, so only the rounding of the input differs
    exact = EdgeList(graph.kind, graph.source, graph.target, graph.weight.astype(np.float32), graph.w)
    again = EdgeList(graph.kind, graph.source, graph.target, exact.weight.astype(np.float64), graph.w)
    a = pruned(exact, node_threshold=node_threshold, edge_threshold=edge_threshold)
    b = pruned(again, node_threshold=node_threshold, edge_threshold=edge_threshold)
    assert edges(a) == edges(b)


def total_influence(graph: EdgeList) -> np.ndarray:
    total = absolute_input(graph.target, graph.weight, n_nodes=graph.n_nodes)
    return block_influence(graph_blocks(graph), total, graph.w)


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
