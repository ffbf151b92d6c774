"""A batch of pairs as methods compare it: what the sources write on the clean prompts, and what when ablated."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.components.ablations import Ablated, Ablation
from circuitbase.tracing.components.attribution_options import MetricFunction
from circuitbase.tracing.components.batches import PairBatch
from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.metrics import measured
from circuitbase.tracing.components.writes import Writes, component_writes


@dataclass(frozen=True)
class Contrast:
    """A batch of pairs with its ablation and metric, None for a method that has none.

    Each number is computed when first asked for, once.
    """

    model: ComponentModel
    batch: PairBatch
    ablation: Ablation | None
    metric: MetricFunction | None

    @cached_property
    def embedding(self) -> Embedding:
        """Returns the clean prompts' embedding."""
        return self.model.embedded(self.batch.clean)

    @cached_property
    def clean(self) -> Writes:
        """Returns what the sources write on the clean prompts, and the logits at their last positions."""
        return component_writes(self.model, self.embedding, read_at=self.batch.read_at)

    @cached_property
    def ablated(self) -> Ablated:
        """Returns what the sources write when ablated."""
        assert self.ablation is not None
        return self.ablation.of(self.model, self.batch, self.embedding)

    @cached_property
    def difference(self) -> Float[Tensor, "batch position source d_model"]:
        """Returns what the sources write less what they write when ablated."""
        return self.clean.sources - self.ablated.sources

    def measure(self, logits: Float[Tensor, "batch token"]) -> Float[Tensor, " batch"]:
        """Returns the metric of each pair, from logits at its last position."""
        assert self.metric is not None
        return measured(self.metric, logits, clean_logits=self.clean.logits, pairs=self.batch.pairs)

    def measure_repeated(self, logits: Float[Tensor, "row token"], *, times: int) -> Float[Tensor, "batch times"]:
        """Returns the metric of logits that are so many rows of each pair, pair by pair."""
        assert self.metric is not None
        pairs = [pair for pair in self.batch.pairs for _ in range(times)]
        clean = self.clean.logits.repeat_interleave(times, dim=0)
        return measured(self.metric, logits, clean_logits=clean, pairs=pairs).unflatten(0, (-1, times))

    @torch.no_grad()
    def clean_metric(self) -> Float[Tensor, " batch"]:
        """Returns the metric on the clean prompts."""
        return self.measure(self.clean.logits)

    @torch.no_grad()
    def ablated_metric(self) -> Float[Tensor, " batch"]:
        """Returns the metric with every edge ablated; by patching, that on the corrupted prompts."""
        return self.measure(self.ablated.logits)
