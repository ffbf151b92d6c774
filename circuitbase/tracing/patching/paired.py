"""Pairs of prompts as interventions need them: embedded, with a metric for each pair."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.attribution_options import MetricFunction
from circuitbase.tracing.components.batches import PairBatch
from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.metrics import measured
from circuitbase.tracing.components.running import run
from circuitbase.tracing.patching.directions import Direction

PairMetric = Callable[[Float[Tensor, "row token"], Int[Tensor, " row"]], Float[Tensor, " row"]]


@dataclass(frozen=True)
class PairedPrompts:
    """Clean prompts, each with its corrupted one of the same length, read at `read_at`.

    `metric(logits, pair)` gives the metric of each row of logits, which belongs to the pair of that number.
    """

    clean: Embedding
    corrupted: Embedding
    read_at: Int[Tensor, " pair"]
    metric: PairMetric

    @property
    def n_pairs(self) -> int:
        """Returns the number of pairs."""
        return len(self.read_at)

    @property
    def n_positions(self) -> int:
        """Returns the number of token positions, those behind the end of shorter prompts included."""
        return self.clean.tokens.shape[1]

    @property
    def numbers(self) -> Int[Tensor, " pair"]:
        """Returns the pairs' numbers."""
        return torch.arange(self.n_pairs, device=self.read_at.device)

    def base(self, direction: Direction) -> Embedding:
        """Returns what is patched: the clean prompts when noising, the corrupted ones when denoising."""
        return self.clean if direction == Direction.NOISING else self.corrupted

    def other(self, direction: Direction) -> Embedding:
        """Returns what the patched values come from."""
        return self.corrupted if direction == Direction.NOISING else self.clean


@torch.no_grad()
def paired_prompts(model: ComponentModel, batch: PairBatch, metric: MetricFunction) -> PairedPrompts:
    """Returns a batch of pairs, embedded, with a metric that knows the clean run's logits."""
    clean, corrupted = model.embedded(batch.clean), model.embedded(batch.corrupted)
    clean_logits = run(model, clean.stream, read_at=batch.read_at)

    def measure(logits: Float[Tensor, "row token"], pair: Int[Tensor, " row"]) -> Float[Tensor, " row"]:
        return measured(
            metric, logits, clean_logits=clean_logits[pair], pairs=[batch.pairs[number] for number in pair.tolist()]
        )

    return PairedPrompts(clean, corrupted, batch.read_at, measure)


@dataclass(frozen=True)
class Ends:
    """The metric of every pair's clean and corrupted run: m and m' of methods.md."""

    clean: Float[Tensor, " pair"]
    corrupted: Float[Tensor, " pair"]


@torch.no_grad()
def ends(model: ComponentModel, pairs: PairedPrompts) -> Ends:
    """Returns the metric of both runs, with nothing patched."""
    clean, corrupted = (
        pairs.metric(run(model, embedding.stream, read_at=pairs.read_at), pairs.numbers)
        for embedding in (pairs.clean, pairs.corrupted)
    )
    return Ends(clean, corrupted)
