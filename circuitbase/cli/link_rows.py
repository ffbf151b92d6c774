"""The attention links of a trace as rows for people: where heads looked, and which pairs of nodes made them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from circuitbase.cli.trace_rows import node_name
from circuitbase.schema.kinds import NodeKind

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace


def link_rows(trace: "Trace") -> list[dict[str, Any]]:
    """Returns a row per link; `pairs` is the sum of the stored pairs: pairs + bias + rest = score."""
    graph = trace.graph
    return [
        {
            "link": node_name(trace, link),
            **_ends(trace, link),
            "attention": float(graph.node_activation[link]),
            "score": float(graph.node_preactivation[link]),
            "pairs": float(graph.pair_score[graph.pair_link == link].sum(dtype=np.float64)),
            "bias": float(graph.node_bias_effect[link]),
            "rest": float(graph.node_rest[link]),
        }
        for link in np.flatnonzero(graph.node_kind == NodeKind.ATTENTION_LINK).tolist()
        if graph.pair_link is not None and graph.pair_score is not None
    ]


def explained_rows(trace: "Trace", *, top: int) -> list[dict[str, Any]]:
    """Returns a row per link with its `top` strongest pairs inside."""
    links = np.flatnonzero(trace.graph.node_kind == NodeKind.ATTENTION_LINK).tolist()
    return [
        {**row, "strongest_pairs": [_pair(trace, pair) for pair in _strongest(trace, link, top=top)]}
        for link, row in zip(links, link_rows(trace), strict=True)
    ]


def pair_rows(trace: "Trace", *, top: int) -> list[dict[str, Any]]:
    """Returns the `top` strongest pairs of each link, with positions behind the names."""
    rows = []
    for link in np.flatnonzero(trace.graph.node_kind == NodeKind.ATTENTION_LINK).tolist():
        name = node_name(trace, link).removesuffix("/link")
        place = f"{name} {trace.graph.node_position[link]} → {trace.graph.node_key_position[link]}"
        for pair in _strongest(trace, link, top=top):
            found = _pair(trace, pair)
            rows.append(
                {
                    "link": place,
                    "query_side": f"{found['query_side']} @{found['query_side_position']}",
                    "key_side": f"{found['key_side']} @{found['key_side_position']}",
                    "score": found["score"],
                    "attention": found["attention"],
                }
            )
    return rows


def _strongest(trace: "Trace", link: int, *, top: int) -> list[int]:
    graph = trace.graph
    assert graph.pair_link is not None
    assert graph.pair_score is not None
    mine = np.flatnonzero(graph.pair_link == link)
    order = np.argsort(-np.abs(graph.pair_score[mine]), kind="stable")[:top]
    return [int(pair) for pair in mine[order]]


def _pair(trace: "Trace", pair: int) -> dict[str, Any]:
    graph = trace.graph
    assert graph.pair_query_node is not None
    assert graph.pair_key_node is not None
    assert graph.pair_score is not None
    assert graph.pair_attention is not None
    asking, offering = int(graph.pair_query_node[pair]), int(graph.pair_key_node[pair])
    return {
        "query_side": node_name(trace, asking),
        "query_side_position": int(graph.node_position[asking]),
        "key_side": node_name(trace, offering),
        "key_side_position": int(graph.node_position[offering]),
        "score": float(graph.pair_score[pair]),
        "attention": float(graph.pair_attention[pair]),
    }


def _ends(trace: "Trace", link: int) -> dict[str, Any]:
    graph, tokens = trace.graph, trace.metadata.prompt.token_strings
    query, key = int(graph.node_position[link]), int(graph.node_key_position[link])
    return {"query": query, "query_token": tokens[query], "key": key, "key_token": tokens[key]}
