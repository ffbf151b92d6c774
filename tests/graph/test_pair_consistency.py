"""Pairs that contradict the nodes are said to."""

from typing import Any

import numpy as np
import pytest

from circuitbase.graph.pair_consistency import pair_problems
from circuitbase.graph.trace import Trace
from circuitbase.schema.kinds import NodeKind
from tests.synthetic import synthetic_trace, with_arrays, with_links

TRACE = with_links(synthetic_trace(0))


def changed(name: str, place: int, value: Any) -> Trace:
    column = getattr(TRACE.graph, name).copy()
    column[place] = value
    return with_arrays(TRACE, **{name: column})


def test_consistent_pairs_have_no_problem() -> None:
    assert pair_problems(TRACE.graph) == []
    assert pair_problems(synthetic_trace(0).graph) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("pair_link", 0, "pair_link must name an attention link"),
        ("pair_link", 10_000, "pair_link must name one of the"),
        ("pair_query_node", -1, "pair_query_node must name one of the"),
        ("pair_score", np.nan, "pair_score must be finite"),
        ("pair_attention", np.inf, "pair_attention must be finite"),
        ("pair_key_node", 1, "pair_key_node must not name a node behind"),
        ("pair_key_node", int(TRACE.graph.pair_link[0]), "pair_key_node must name a node below the link's layer"),
    ],
)
def test_a_pair_that_contradicts_the_nodes_is_a_problem(name: str, value: Any, sentence: str) -> None:
    assert any(sentence in problem for problem in pair_problems(changed(name, 0, value).graph))


def test_pairs_out_of_order_and_outputs_in_pairs_are_problems() -> None:
    twice = changed("pair_query_node", 1, int(TRACE.graph.pair_query_node[0]))
    assert "pairs must be sorted by link, query node and key node" in pair_problems(twice.graph)[0]
    output = int(np.flatnonzero(TRACE.graph.node_kind == NodeKind.OUTPUT_TOKEN)[0])
    found = pair_problems(changed("pair_query_node", 2, output).graph)
    assert any("names an output or a link" in problem for problem in found)


def test_a_link_with_pairs_needs_an_account() -> None:
    link = int(TRACE.graph.pair_link[0])
    (problem,) = pair_problems(changed("node_rest", link, np.nan).graph)
    assert "node_rest must be finite where a link has pairs" in problem
