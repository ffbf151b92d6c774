"""Prompts on which circuits are run: embedded, with what the edges outside carry."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.patching.paired import PairedPrompts


@dataclass(frozen=True)
class CircuitPrompts:
    """A batch of pairs, and what the sources write along edges outside the circuit: the ablation.

    `places` are the pairs' places among all.
    """

    pairs: PairedPrompts
    others: Float[Tensor, "pair position source d_model"]
    places: tuple[int, ...]


@torch.no_grad()
def circuit_logits(
    model: ComponentModel, prompts: CircuitPrompts, kept: Bool[np.ndarray, "source receiver"]
) -> Float[Tensor, "pair token"]:
    """Returns the logits of a circuit on the clean prompts of a batch."""
    mask = torch.from_numpy(kept).to(prompts.others)
    return edge_run(model, prompts.pairs.clean, others=prompts.others, kept=mask, read_at=prompts.pairs.read_at)


def circuit_metrics(
    model: ComponentModel, batches: Sequence[CircuitPrompts], kept: Bool[np.ndarray, "source receiver"]
) -> Float64[np.ndarray, " pair"]:
    """Returns the metric of a circuit on every pair, all edges outside it carrying the ablation."""
    found = np.zeros(sum(len(batch.places) for batch in batches))
    for batch in batches:
        metric = batch.pairs.metric(circuit_logits(model, batch, kept), batch.pairs.numbers)
        found[list(batch.places)] = metric.double().cpu().numpy()
    return found
