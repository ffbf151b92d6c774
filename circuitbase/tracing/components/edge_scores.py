"""What contrastive attribution finds: a score per pair and edge."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.component_graph import ComponentGraph


@dataclass(frozen=True)
class EdgeScores:
    """Scores of a model's edges per pair, 0 where there is no edge; they support the metric where positive.

    A score approximates (`exact`: is) the metric on the clean prompt minus the metric with the edge ablated;
    those of `information-flow` are shares. `clean` and `ablated` are the metric on the clean prompts and with
    every edge ablated (by patching: on the corrupted prompts), None where the method has no metric. `gap` is,
    for `eap-ig-inputs`, the sum over the input's edges minus the metric's difference between the path's ends.
    """

    graph: ComponentGraph
    options: AttributionOptions
    scores: Float[np.ndarray, "pair source receiver"]
    clean: Float[np.ndarray, " pair"] | None = None
    ablated: Float[np.ndarray, " pair"] | None = None
    gap: Float[np.ndarray, " pair"] | None = None

    @property
    def n_pairs(self) -> int:
        """Returns the number of pairs."""
        return len(self.scores)

    @cached_property
    def mean(self) -> Float[np.ndarray, "source receiver"]:
        """Returns the mean over pairs, in which opposite directions cancel."""
        return self.scores.mean(0)

    @cached_property
    def deviation(self) -> Float[np.ndarray, "source receiver"]:
        """Returns the standard deviation over pairs (of these pairs: divided by their number)."""
        return self.scores.std(0)

    @cached_property
    def share_of_sign(self) -> Float[np.ndarray, "source receiver"]:
        """Returns the share of pairs whose score has the sign of the mean."""
        found: Float[np.ndarray, "source receiver"] = (np.sign(self.scores) == np.sign(self.mean)).mean(0)
        return found

    @property
    def gap_share(self) -> float | None:
        """Returns Σ|gap| over Σ|difference of the metric between the path's ends|, of all pairs; None without a gap."""
        if self.gap is None:
            return None
        difference = np.abs(self.scores[:, 0].sum(-1) - self.gap).sum()
        return float(np.abs(self.gap).sum() / difference) if difference else float(np.abs(self.gap).sum() > 0)

    @property
    def nodes(self) -> Float[np.ndarray, "pair source"]:
        """Returns the sources' scores: the sums of their out-edges."""
        return self.scores.sum(-1)

    def strongest(self, n: int) -> Int[np.ndarray, "edge 2"]:
        """Returns (source, receiver) of the `n` edges of largest absolute mean, in that order; equal ones by place."""
        mask: Bool[np.ndarray, "source receiver"] = self.graph.edges
        edges = np.argwhere(mask)
        order = np.argsort(-np.abs(self.mean[mask]), kind="stable")[:n]
        return edges[order]
