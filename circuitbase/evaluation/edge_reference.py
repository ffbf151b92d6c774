"""Runs of a small transformer with single edges patched, written out plainly.

This is what "known circuit" is measured with, on purpose apart from the component engine: every receiver sums its
sources by name, one after the other. Use it for small models only.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.evaluation.small_transformer import SmallConfig, SmallTransformer


@dataclass(frozen=True)
class PlainRun:
    """What a run gave."""

    logits: Float[Tensor, "batch position token"]
    writes: dict[str, Float[Tensor, "batch position d_model"]]
    """What each source wrote: `input`, `a{layer}.h{head}`, `m{layer}`."""


@torch.no_grad()
def plain_run(
    model: SmallTransformer,
    tokens: Int[Tensor, "batch position"],
    *,
    others: Mapping[str, Float[Tensor, "#batch position d_model"]] | None = None,
    cut: Collection[str] = (),
    replaced: Collection[str] = (),
) -> PlainRun:
    """Returns the run in which the edges `cut` carry what their sources wrote in `others`.

    The sources `replaced` write what they wrote in `others` into all that they reach.
    """
    config, elsewhere = model.config, others or {}
    constant = model.positions(tokens.shape[1])
    writes = {"input": model.embed(tokens)}

    def written(source: str, own: Tensor) -> None:
        writes[source] = elsewhere[source] if source in replaced else own

    def read(receiver: str) -> Tensor:
        carried = (elsewhere[source] if f"{source}->{receiver}" in cut else write for source, write in writes.items())
        return constant + sum(carried)

    written("input", writes["input"])
    for layer, block in enumerate(model.layers):
        heads = [f"a{layer}.h{head}" for head in range(config.n_heads)]
        inputs = [torch.stack([read(f"{name}<{port}>") for name in heads], dim=2) for port in "qkv"]
        for name, write in zip(heads, block.head_writes(*inputs).unbind(2), strict=True):
            written(name, write)
        if config.biases:
            constant = constant + block.b_O
        written(f"m{layer}", block.mlp_write(read(f"m{layer}")))
    return PlainRun(model.unembed(read("logits")), writes)


def plain_edges(config: SmallConfig) -> Iterator[str]:
    """Yields the names of all edges, receiver by receiver."""
    sources = ["input"]
    for layer in range(config.n_layers):
        heads = [f"a{layer}.h{head}" for head in range(config.n_heads)]
        yield from (f"{source}->{name}<{port}>" for name in heads for port in "qkv" for source in sources)
        sources += heads
        yield from (f"{source}->m{layer}" for source in sources)
        sources.append(f"m{layer}")
    yield from (f"{source}->logits" for source in sources)


def logit_difference(
    logits: Float[Tensor, "batch position token"],
    correct: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    """Returns logit(correct) − logit(wrong) at the last position."""
    last, row = logits[:, -1], torch.arange(len(logits), device=logits.device)
    return last[row, correct] - last[row, wrong]


def patched_effects(
    model: SmallTransformer,
    clean: Int[Tensor, "batch position"],
    corrupted: Int[Tensor, "batch position"],
    *,
    correct: Int[Tensor, " batch"],
    wrong: Int[Tensor, " batch"],
) -> dict[str, Float[Tensor, " batch"]]:
    """Returns, for every edge, m(clean) − m(clean with this one edge from the corrupted run), m as above."""
    others = plain_run(model, corrupted).writes
    whole = logit_difference(plain_run(model, clean).logits, correct, wrong)
    return {
        edge: whole - logit_difference(plain_run(model, clean, others=others, cut=(edge,)).logits, correct, wrong)
        for edge in plain_edges(model.config)
    }
