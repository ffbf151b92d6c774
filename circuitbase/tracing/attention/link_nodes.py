"""Attention links put into the graph that is stored: nodes behind all others, and the pairs of each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Bool

from circuitbase.graph.attribution_graph import PAIR_DTYPES, AttributionGraph
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.account import largest_violation
from circuitbase.tracing.attention.links import AttentionLink


def with_links(
    graph: AttributionGraph, links: Sequence[AttentionLink], *, kept: Bool[np.ndarray, " node"]
) -> AttributionGraph:
    """Returns the graph with links; `kept` says which of the nodes that pairs name by number are the graph's.

    A pair that was not kept is in its link's rest.
    """
    index = np.cumsum(kept) - 1
    nodes = {
        "node_kind": [int(NodeKind.ATTENTION_LINK)] * len(links),
        "node_layer": [link.layer for link in links],
        "node_position": [link.query for link in links],
        "node_key_position": [link.key for link in links],
        "node_unit": [link.head for link in links],
        "node_activation": [link.weight for link in links],
        "node_influence": [0.0] * len(links),
        "node_preactivation": [link.score for link in links],
        "node_bias_effect": [link.bias_effect for link in links],
        "node_rest": [link.score - link.bias_effect - float(link.pair_score.sum()) for link in links],
        "node_absolute_input": [link.absolute for link in links],
        "node_silent": [0] * len(links),
        "node_margin": [np.nan] * len(links),
    }
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(graph, name), np.array(values).astype(getattr(graph, name).dtype)])
        for name, values in nodes.items()
    }
    pairs = {
        "pair_link": [np.full(len(link.pair_score), graph.n_nodes + place) for place, link in enumerate(links)],
        "pair_query_node": [index[link.query_node] for link in links],
        "pair_key_node": [index[link.key_node] for link in links],
        "pair_score": [link.pair_score for link in links],
        "pair_attention": [link.pair_attention for link in links],
    }
    columns |= {name: np.concatenate(parts).astype(PAIR_DTYPES[name]) for name, parts in pairs.items()}
    return replace(graph, **columns)


def links_violation(links: Sequence[AttentionLink]) -> float:
    """Returns the largest violation of the links' accounts, all pairs counted."""
    return largest_violation(
        np.array([link.net for link in links]),
        bias_effect=np.array([link.bias_effect for link in links]),
        preactivation=np.array([link.score for link in links]),
        absolute_input=np.array([link.absolute for link in links]),
    )
