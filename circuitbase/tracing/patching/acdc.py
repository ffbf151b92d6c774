"""ACDC: drop every edge that is not missed, backwards from the logits (Conmy et al. 2023, algorithm 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.patching.circuit_prompts import CircuitPrompts, circuit_logits
from circuitbase.tracing.patching.circuit_selection import source_of


@dataclass(frozen=True)
class FoundCircuit:
    """The edges that were kept, the divergence of their model from the full one (nats), and how many were tried.

    `cost` of an edge that was tried is D with it dropped minus D with it kept, when its turn came; NaN for edges
    that were dropped untried, since nothing behind them was kept.
    """

    kept: Bool[np.ndarray, "source receiver"]
    divergence: float
    cost: Float[np.ndarray, "source receiver"]
    n_tried: int


def acdc(model: ComponentModel, batches: Sequence[CircuitPrompts], *, tau: float) -> FoundCircuit:
    """Returns the circuit of the edges whose loss raises D, the divergence from the full model, by tau or more.

    D = KL(full ‖ circuit), over all tokens at the position that is read, mean over pairs. The order is fixed:
    receivers from the logits back (in a layer the MLP, then values, keys and queries, the last head first), and of
    each the sources from the last back. Of two that could stand in for each other the first tried is dropped and
    the other kept. Edges into what has no way on to the logits are dropped untried.
    """
    if not tau > 0:
        raise InputError(f"tau must be above 0, or no edge without effect would be dropped, got {tau}")
    graph = model.graph
    full = [torch.log_softmax(circuit_logits(model, batch, graph.edges), dim=-1) for batch in batches]
    kept, cost = graph.edges.copy(), np.full(graph.edges.shape, np.nan)
    now, tried = divergence(model, batches, kept, full=full), 0
    for receiver in reversed(range(graph.n_receivers)):
        component = source_of(graph, receiver)
        if component is not None and not kept[component].any():
            kept[:, receiver] = False
            continue
        for source in reversed(range(int(graph.reads[receiver]))):
            kept[source, receiver] = False
            without = divergence(model, batches, kept, full=full)
            cost[source, receiver] = without - now
            tried += 1
            if without - now < tau:
                now = without
            else:
                kept[source, receiver] = True
    return FoundCircuit(kept, now, cost, tried)


def divergence(
    model: ComponentModel,
    batches: Sequence[CircuitPrompts],
    kept: Bool[np.ndarray, "source receiver"],
    *,
    full: Sequence[Float[Tensor, "pair token"]],
) -> float:
    """Returns KL(full ‖ circuit) in nats, mean over pairs; `full` are the full model's log-probabilities by batch."""
    total = 0.0
    for batch, wanted in zip(batches, full, strict=True):
        found = torch.log_softmax(circuit_logits(model, batch, kept), dim=-1)
        total += float((wanted.exp() * (wanted - found)).sum())
    return total / sum(len(batch.places) for batch in batches)
