"""How much of all influence is reached at a node, from the most influential down: what viewers prune by."""

import numpy as np
from jaxtyping import Float64

from circuitbase.graph.trace import Trace
from circuitbase.schema.kinds import NodeKind


def cumulative_influence(trace: Trace) -> Float64[np.ndarray, " node"]:
    """Returns the share of all influence that is reached, from the top, at each node (small is important).

    Nodes that pruning took away had less than those that it kept, so they do not count before them; that dangling
    ones were lost among the kept is not seen.
    """
    influence = trace.graph.node_influence.astype(np.float64)
    order = np.argsort(-influence, kind="stable")
    reached = np.empty(len(influence))
    reached[order] = np.cumsum(influence[order])
    total = max(_all_influence(trace), float(influence.sum()))
    return np.minimum(reached / total, 1.0) if total > 0 else np.ones(len(influence))


def _all_influence(trace: Trace) -> float:
    """Returns ΣI over all nodes before pruning, from the scores of the whole graph (methods.md section 2).

    Embeddings are never pruned, so the replacement score gives the errors' part, and 1 less the completeness score
    is that part over ΣI + Σw. 0 where there were no errors, or where it is unknown.
    """
    graph, scores = trace.graph, trace.metadata.scores
    tokens = float(graph.node_influence[graph.node_kind == NodeKind.INPUT_TOKEN].sum(dtype=np.float64))
    if not 0 < scores.replacement < 1 or not 0 < scores.completeness < 1:
        return 0.0
    errors = tokens * (1 / scores.replacement - 1)
    return errors / (1 - scores.completeness) - sum(target.weight for target in trace.metadata.targets)
