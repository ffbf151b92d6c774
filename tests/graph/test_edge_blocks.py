"""Edges in blocks, dense or as lists, against plain loops over the edges."""

from collections.abc import Iterator
from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from circuitbase.errors import InputError
from circuitbase.graph.edge_blocks import DenseBlock, EdgeBlock, Edges, SparseBlock, all_edges, blocks_of, joined

Row = tuple[int, int, float]
N_NODES = 12


@dataclass(frozen=True)
class Both:
    """One block in both forms; `rows` are its edges (source, target, weight), sorted by target and source."""

    dense: DenseBlock
    sparse: SparseBlock
    rows: list[Row]


@st.composite
def both_forms(draw: st.DrawFn) -> Both:
    """Blocks with targets and sources in any order; some targets, or all, are without edges."""
    nodes = draw(st.permutations(range(N_NODES)))
    n_targets, n_sources = draw(st.integers(0, 5)), draw(st.integers(0, 6))
    target = np.array(sorted(nodes[:n_targets]), dtype=np.int64)
    source = np.array(nodes[n_targets : n_targets + n_sources], dtype=np.int64)
    numbers = st.sampled_from([0.0, 0.0, 1.0, -1.0, 2.5, -3.0, 1e-9, 1e9])
    cells = draw(st.lists(numbers, min_size=n_targets * n_sources, max_size=n_targets * n_sources))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    weight = np.array(cells, dtype=dtype).reshape(n_targets, n_sources)
    row, column = np.nonzero(weight)
    counts = np.bincount(row, minlength=n_targets)
    sparse = SparseBlock(
        target=target,
        start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        source=source[column].astype(np.int32),
        weight=weight[row, column],
    )
    rows = [(int(source[c]), int(target[r]), float(weight[r, c])) for r, c in zip(row, column, strict=True)]
    return Both(DenseBlock(target, source, weight), sparse, sorted(rows, key=lambda each: (each[1], each[0])))


def listed(edges: Edges) -> list[Row]:
    return list(zip(edges.source.tolist(), edges.target.tolist(), edges.weight.tolist(), strict=True))


def every_edge(block: EdgeBlock) -> list[Row]:
    return listed(all_edges([block]))


def forms(block: Both) -> Iterator[EdgeBlock]:
    yield block.dense
    yield block.sparse


@given(both_forms())
def test_both_forms_hold_the_same_edges(block: Both) -> None:
    for form in forms(block):
        assert isinstance(form, EdgeBlock)
        assert every_edge(form) == block.rows
        assert form.n_edges == len(block.rows)


@given(both_forms())
def test_inputs_are_sums_over_the_edges_of_a_target(block: Both) -> None:
    for form in forms(block):
        for found, of in ((form.absolute_input(), abs), (form.net_input(), float)):
            expected = [sum(of(w) for _, t, w in block.rows if t == target) for target in form.target]
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-6)


@given(both_forms(), st.integers(0, 99))
def test_flow_reaches_each_source_and_adds_to_what_was_there(block: Both, seed: int) -> None:
    random = np.random.default_rng(seed)
    flow, before = random.random(len(block.dense.target)), random.random(N_NODES)
    expected = before.copy()
    for source, target, weight in block.rows:
        expected[source] += abs(weight) * flow[block.dense.target.tolist().index(target)]
    for form in forms(block):
        reached = before.copy()
        form.add_flow(flow, reached)
        np.testing.assert_allclose(reached, expected, rtol=1e-12)


@given(both_forms(), st.lists(st.booleans(), min_size=N_NODES, max_size=N_NODES))
def test_among_kept_nodes_are_the_edges_with_both_ends_kept_and_every_kept_target(
    block: Both, kept: list[bool]
) -> None:
    expected = [row for row in block.rows if kept[row[0]] and kept[row[1]]]
    for form in forms(block):
        inside = form.among(np.array(kept))
        assert type(inside) is type(form)
        assert every_edge(inside) == expected
        assert inside.target.tolist() == [target for target in form.target.tolist() if kept[target]]
        np.testing.assert_array_equal(
            inside.absolute_input() > 0, [t in {r[1] for r in expected} for t in inside.target]
        )


@given(both_forms(), st.integers(0, 99))
def test_scores_are_in_the_order_of_edges(block: Both, seed: int) -> None:
    factor = np.random.default_rng(seed).random(len(block.dense.target))
    of_target = dict(zip(block.dense.target.tolist(), factor.tolist(), strict=True))
    for form in forms(block):
        score = form.scores(factor)
        edges = form.edges(np.ones(len(score), dtype=bool))
        assert score.tolist() == [abs(w) * of_target[t] for _, t, w in listed(edges)]
        chosen = score >= score.max(initial=0.0)
        assert listed(form.edges(chosen)) == [row for row, kept in zip(listed(edges), chosen, strict=True) if kept]


@st.composite
def acyclic(draw: st.DrawFn) -> list[Row]:
    """Edges of any graph without a cycle, in any order, its nodes numbered in any order; some edges stand twice."""
    name = draw(st.permutations(range(N_NODES)))
    pairs = draw(st.lists(st.tuples(st.integers(0, N_NODES - 1), st.integers(0, N_NODES - 1)), max_size=40))
    weights = st.sampled_from([-2.0, -1.0, 1.0, 2.0])
    return [(name[min(pair)], name[max(pair)], draw(weights)) for pair in pairs if pair[0] != pair[1]]


def columns(rows: list[Row], *, dtype: type[np.integer] = np.int64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source, target, weight = ([row[place] for row in rows] for place in range(3))
    return np.array(source, dtype), np.array(target, dtype), np.array(weight, np.float64)


@given(acyclic())
def test_any_graph_without_a_cycle_becomes_blocks_in_topological_order(rows: list[Row]) -> None:
    blocks = blocks_of(*columns(rows), n_nodes=N_NODES)
    block_of = {target: place for place, block in enumerate(blocks) for target in block.target.tolist()}
    assert sorted(block_of) == sorted({target for _, target, _ in rows})
    assert sum(len(block.target) for block in blocks) == len(block_of)
    assert all(block_of.get(source, -1) < block_of[target] for source, target, _ in rows)
    assert all((np.diff(block.target) > 0).all() for block in blocks)


@given(acyclic())
def test_edges_that_stand_twice_are_kept_and_all_edges_come_sorted(rows: list[Row]) -> None:
    found = listed(all_edges(blocks_of(*columns(rows), n_nodes=N_NODES)))
    assert [row[:2] for row in found] == sorted(((s, t) for s, t, _ in rows), key=lambda each: each[::-1])
    assert sorted(found) == sorted(rows)


@given(acyclic(), st.integers(2, 5))
def test_a_cycle_is_refused(rows: list[Row], length: int) -> None:
    ring = [(node, (node + 1) % length, 1.0) for node in range(length)]
    with pytest.raises(InputError, match=f"must have no cycle.*as many steps as it has nodes \\({N_NODES}\\)"):
        blocks_of(*columns(rows + ring), n_nodes=N_NODES)


def test_an_edge_to_itself_is_a_cycle() -> None:
    with pytest.raises(InputError, match="must have no cycle"):
        blocks_of(*columns([(3, 3, 1.0)]), n_nodes=N_NODES)


def test_a_chain_as_long_as_there_are_nodes_is_no_cycle() -> None:
    chain = [(node, node + 1, 1.0) for node in range(N_NODES - 1)]
    assert len(blocks_of(*columns(chain), n_nodes=N_NODES)) == N_NODES - 1


def test_no_edges_make_no_blocks() -> None:
    assert blocks_of(*columns([]), n_nodes=N_NODES) == []
    assert listed(all_edges([])) == []


@given(st.lists(acyclic(), max_size=4))
def test_joined_edges_are_sorted_by_target_and_source(parts: list[list[Row]]) -> None:
    found = listed(joined([Edges(*columns(rows, dtype=np.int32)) for rows in parts]))
    assert sorted(found) == sorted(row for rows in parts for row in rows)
    assert [row[1::-1] for row in found] == sorted(row[1::-1] for row in found)
