"""The silent nodes of a trace as rows for people: what they lacked to fire."""

from typing import TYPE_CHECKING, Any

import numpy as np

from circuitbase.cli.trace_rows import node_name

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace


def silent_rows(trace: "Trace") -> list[dict[str, Any]]:
    """Returns the named features that did not fire, the one that lacked least first.

    `margin` is the threshold less the pre-activation; None where a feature has no threshold of its own.
    `preactivation` leaves out b_enc, as the account does.
    """
    graph = trace.graph
    rows = [
        {
            "node": node_name(trace, int(node)),
            "position": int(graph.node_position[node]),
            "token": trace.metadata.prompt.token_strings[graph.node_position[node]],
            "margin": None if np.isnan(graph.node_margin[node]) else float(graph.node_margin[node]),
            "preactivation": float(graph.node_preactivation[node]),
            "absolute_input": float(graph.node_absolute_input[node]),
        }
        for node in np.flatnonzero(graph.node_silent)
    ]
    return sorted(rows, key=lambda row: (row["margin"] is None, row["margin"] or 0.0))
