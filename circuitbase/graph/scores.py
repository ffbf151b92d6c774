"""How much of a graph's influence is explained by the dictionary rather than by reconstruction errors.

Both scores are circuit-tracer's (Ameisen et al. 2025), 1 where no error has influence. Called on a
pruned graph they are other numbers and are stored under other names.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from circuitbase.graph.influence import absolute_input, input_share, node_influence
from circuitbase.graph.node_sums import node_sums
from circuitbase.schema.kinds import NodeKind


@dataclass(frozen=True)
class GraphScores:
    """Replacement and completeness score of one graph."""

    replacement: float
    completeness: float


def graph_scores(
    kind: UInt8[np.ndarray, " node"],
    source: Int[np.ndarray, " edge"],
    target: Int[np.ndarray, " edge"],
    weight: Float[np.ndarray, " edge"],
    output_weight: Float[np.ndarray, " node"],
    *,
    total: Float[np.ndarray, " node"] | None = None,
) -> GraphScores:
    """Returns both scores of an edge list; `total` is Σ|A| per target, by default that of these edges."""
    if total is None:
        total = absolute_input(target, weight, n_nodes=len(kind))
    share = input_share(target, weight, total)
    influence = node_influence(source, target, share, output_weight)
    from_errors = np.where(is_unexplained(kind, total)[source], share, 0.0)
    error_share = node_sums(target, from_errors, n_nodes=len(kind))
    return GraphScores(
        replacement=replacement_score(kind, influence, total=total),
        completeness=completeness_score(error_share, influence, output_weight),
    )


def is_unexplained(
    kind: UInt8[np.ndarray, " node"], total: Float[np.ndarray, " node"] | None = None
) -> Bool[np.ndarray, " node"]:
    """Returns which nodes stand for what nothing explains: layer errors, and MLPs that nothing flows into.

    `total` is Σ|A| into each node; None where no MLP has in-edges, as beside an attention dictionary.
    """
    without_input = np.ones(len(kind), dtype=bool) if total is None else total == 0
    found: np.ndarray = (kind == NodeKind.LAYER_ERROR) | ((kind == NodeKind.MLP) & without_input)
    return found


def replacement_score(
    kind: UInt8[np.ndarray, " node"],
    influence: Float[np.ndarray, " node"],
    *,
    total: Float[np.ndarray, " node"] | None = None,
) -> float:
    """Returns the input tokens' part of the influence of input tokens and errors together.

    `total` is Σ|A| into each node, as `is_unexplained` takes it.
    """
    tokens = float(influence[kind == NodeKind.INPUT_TOKEN].sum())
    errors = float(influence[is_unexplained(kind, total)].sum())
    return 1.0 if errors == 0 else tokens / (tokens + errors)


def completeness_score(
    error_share: Float[np.ndarray, " node"],
    influence: Float[np.ndarray, " node"],
    output_weight: Float[np.ndarray, " node"],
) -> float:
    """Returns the mean over all nodes of the input share that is not from errors, by I + w.

    `error_share` is Σ Â[n, e] over the error nodes e. Input tokens and errors, which have no input,
    count as fully explained.
    """
    importance = influence + output_weight
    total = float(importance.sum())
    return 1.0 if total == 0 else float(((1 - error_share) * importance).sum()) / total
