"""Circuits of growing size, run with every other edge ablated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from circuitbase.errors import InputError
from circuitbase.evaluation.known_circuit import Curve, faithfulness, grid_sizes
from circuitbase.tracing.components.ablations import ablation as made_ablation
from circuitbase.tracing.components.attribution_options import AblationName, MetricName
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.metrics import metric_for
from circuitbase.tracing.components.pairs import Pair


@dataclass(frozen=True)
class CircuitRuns:
    """A model with pairs, an ablation and a metric: what circuits are run on. The means are over the clean prompts."""

    model: ComponentModel
    ablation: AblationName
    metric: MetricName
    contrasts: tuple[Contrast, ...]

    @property
    def full(self) -> Float[np.ndarray, " pair"]:
        """Returns the metric of the full model."""
        return np.concatenate([contrast.clean_metric().cpu().numpy() for contrast in self.contrasts])

    @property
    def empty(self) -> Float[np.ndarray, " pair"]:
        """Returns the metric with every edge ablated."""
        return np.concatenate([contrast.ablated_metric().cpu().numpy() for contrast in self.contrasts])

    @torch.no_grad()
    def of_circuit(self, kept: Bool[np.ndarray, "source receiver"]) -> Float[np.ndarray, " pair"]:
        """Returns the metric of the model of kept edges, the others ablated."""
        found = []
        for contrast in self.contrasts:
            mask = torch.from_numpy(kept).to(contrast.embedding.tokens)
            logits = edge_run(
                self.model,
                contrast.embedding,
                others=contrast.ablated.sources,
                kept=mask,
                read_at=contrast.batch.read_at,
            )
            found.append(contrast.measure(logits).cpu().numpy())
        return np.concatenate(found)


def circuit_runs(
    model: ComponentModel, pairs: Sequence[Pair], *, ablation: AblationName, metric: MetricName
) -> CircuitRuns:
    """Returns what circuits are run on."""
    made = made_ablation(model, ablation, over=[pair.clean for pair in pairs])
    measure = metric_for(metric, pairs)
    batches = pair_batches(pairs, batch_size=len(pairs), causal=model.causal, device=model.W_U.device)
    return CircuitRuns(model, ablation, metric, tuple(Contrast(model, batch, made, measure) for batch in batches))


def largest_edges(
    runs: CircuitRuns, scores: Float[np.ndarray, " edge"], count: int
) -> Bool[np.ndarray, "source receiver"]:
    """Returns the mask of the `count` edges of largest score, equal ones in the order of the graph's edges."""
    edges = np.argwhere(runs.model.graph.edges)[np.argsort(-scores, kind="stable")[:count]]
    kept = np.zeros_like(runs.model.graph.edges)
    kept[edges[:, 0], edges[:, 1]] = True
    return kept


def circuit_curve(runs: CircuitRuns, scores: Float[np.ndarray, " edge"]) -> Curve | None:
    """Returns the faithfulness of the circuits of largest scores, at the sizes of `grid_sizes`.

    None where the full model and the ablated one do not differ on these pairs, so that nothing can be said.
    """
    full, empty = runs.full, runs.empty
    sizes = grid_sizes(runs.model.graph.n_edges)
    try:
        found = [faithfulness(runs.of_circuit(largest_edges(runs, scores, size.edges)), full, empty) for size in sizes]
    except InputError:
        return None
    return Curve(np.array([size.share for size in sizes]), np.array(found))
