"""What a source writes once it is ablated: what it writes on the corrupted prompt, nothing, or its mean over a set."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import AblationName
from circuitbase.tracing.components.batches import PairBatch, prompt_batches
from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.edge_run import edge_run
from circuitbase.tracing.components.writes import component_writes


@dataclass(frozen=True)
class Ablated:
    """What all sources write when ablated, and the logits of the model of no edges, [batch, token]."""

    sources: Float[Tensor, "batch position source d_model"]
    logits: Float[Tensor, "batch token"]


@dataclass(frozen=True)
class Ablation:
    """A kind of ablation; `means` are its set's, one for all positions or one for each."""

    name: AblationName
    means: Float[Tensor, "*position source d_model"] | None = None

    @torch.no_grad()
    def of(self, model: ComponentModel, batch: PairBatch, embedding: Embedding) -> Ablated:
        """Returns what the sources of a batch, whose clean prompts are embedded, write when ablated."""
        if self.name == "patching":
            there = component_writes(model, model.embedded(batch.corrupted), read_at=batch.read_at)
            return Ablated(there.sources, there.logits)
        tokens = embedding.tokens
        graph = model.graph
        shape = (*tokens.shape[:2], graph.n_sources, tokens.shape[-1])
        if self.means is None:
            sources = tokens.new_zeros(()).expand(shape)
        else:
            means = self.means.to(tokens)
            sources = (means if means.dim() == 3 else means[None]).expand(shape)
        nothing = tokens.new_zeros(()).expand(graph.n_sources, graph.n_receivers)
        logits = edge_run(model, embedding, others=sources, kept=nothing, read_at=batch.read_at)
        return Ablated(sources, logits)


@torch.no_grad()
def ablation(
    model: ComponentModel, name: AblationName, *, over: Sequence[tuple[int, ...]] = (), batch_size: int = 8
) -> Ablation:
    """Returns an ablation; for a mean, the one over the unpadded positions of the prompts `over` (token ids).

    `positional-mean` is a mean at each position, so its prompts must have one length. Raises InputError if they do
    not, or if there are none.
    """
    if name in ("patching", "zero"):
        return Ablation(name)
    if not over:
        raise InputError(f"a {name} ablation needs the set that the mean is over, got no prompts; name some")
    check_positions(name, over=over)
    count = 0
    total: Tensor | None = None
    for batch in prompt_batches(over, batch_size=batch_size, causal=model.causal, device=model.W_U.device):
        writes = component_writes(model, model.embedded(batch.tokens), read_at=batch.read_at).sources.double()
        own = writes.masked_fill(~batch.unpadded[:, :, None, None], 0)
        found = own.sum(0 if name == "positional-mean" else (0, 1))
        total = found if total is None else total + found
        count += len(batch.tokens) if name == "positional-mean" else int(batch.unpadded.sum())
    assert total is not None
    return Ablation(name, (total / count).to(model.W_U.dtype))


def check_positions(name: AblationName, *, over: Sequence[tuple[int, ...]], lengths: Sequence[int] = ()) -> None:
    """Raises InputError if a positional mean is over prompts of several lengths, or not of these `lengths`."""
    if name != "positional-mean":
        return
    found = sorted({len(prompt) for prompt in over})
    if len(found) > 1:
        raise InputError(
            f"a positional mean needs prompts of one length, got {found[0]} and {found[-1]} tokens; take mean"
        )
    other = [length for length in lengths if length not in found]
    if found and other:
        raise InputError(
            f"a positional mean over prompts of {found[0]} tokens cannot stand for a prompt of {other[0]}; "
            "take mean, or pairs of that length"
        )
