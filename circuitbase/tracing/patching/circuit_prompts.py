"""Prompts on which circuits are run: embedded, with what the edges outside carry."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from circuitbase.tracing.components.ablations import Ablation, check_positions
from circuitbase.tracing.components.attribution_options import MetricFunction, MetricName
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.metrics import metric_for
from circuitbase.tracing.components.pairs import Pair, check_pairs
from circuitbase.tracing.patching.paired import PairedPrompts, paired_prompts


@dataclass(frozen=True)
class CircuitPrompts:
    """A batch of pairs, and what the sources write along edges outside the circuit: the ablation.

    `places` are the pairs' places among all.
    """

    pairs: PairedPrompts
    others: Float[Tensor, "pair position source d_model"]
    places: tuple[int, ...]


@torch.no_grad()
def circuit_prompts(
    model: ComponentModel,
    pairs: Sequence[Pair],
    ablation: Ablation,
    *,
    metric: MetricName | MetricFunction,
    batch_size: int,
) -> list[CircuitPrompts]:
    """Returns pairs in batches, with what an ablation puts on the edges outside of circuits.

    Raises InputError for pairs that cannot be compared and for a positional mean of another length than theirs.
    """
    check_pairs(pairs, n_tokens=len(model.W_U))
    if ablation.means is not None and ablation.name == "positional-mean":
        one = (0,) * ablation.means.shape[0]
        check_positions(ablation.name, over=[one], lengths=[len(pair.clean) for pair in pairs])
    measure, found = metric_for(metric, pairs), []
    for batch in pair_batches(pairs, batch_size=batch_size, causal=model.causal, device=model.W_U.device):
        prompts = paired_prompts(model, batch, measure)
        found.append(CircuitPrompts(prompts, ablation.of(model, batch, prompts.clean).sources, batch.places))
    return found


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
