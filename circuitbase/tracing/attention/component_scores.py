"""A head's scores by pairs of components: what each wrote at the query's position, and at the key's."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.attention.head_reads import HeadRead, key_read, query_read
from circuitbase.tracing.attention.score_parts import ScoreParts, Side, score_parts
from circuitbase.tracing.attention.softmax_parts import pattern
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.writes import Writes, component_writes, constant_before_heads


@dataclass(frozen=True)
class HeadLook:
    """A head at one query position of one prompt: what it and its keys read, and the visible keys' scores.

    `scores` are before any soft cap. Sources are those of `ComponentGraph` that the head reads.
    """

    query: int
    keys: Int64[np.ndarray, " key"]
    scores: Float64[np.ndarray, " key"]
    scale: float
    soft_cap: float | None
    query_vector: Float64[Tensor, " d_head"]
    key_vectors: Float64[Tensor, "key d_head"]
    query_side: Side
    key_sides: tuple[Side, ...]

    @property
    def weights(self) -> Float64[np.ndarray, " key"]:
        """Returns the attention weights of the visible keys."""
        return pattern(self.scores, soft_cap=self.soft_cap)

    def parts(self, place: int) -> ScoreParts:
        """Returns the score of the key at a place of `keys` by pairs of sources."""
        return score_parts(self.query_side, self.key_sides[place], scale=self.scale)


@torch.no_grad()
def head_look(
    model: ComponentModel, tokens: Int64[Tensor, " position"], *, layer: int, head: int, query: int
) -> HeadLook:
    """Returns what a head does at a query position of a prompt; raises InputError for one that is not there."""
    check_place(model, len(tokens), layer=layer, head=head, query=query)
    attention = model.attention[layer]
    writes = component_writes(model, model.embedded(tokens[None]))
    n_sources, behind = model.graph.before_heads(layer), constant_before_heads(layer)
    x = writes.sources[0, :, :n_sources].sum(1) + writes.constant[behind, 0]
    keys = np.flatnonzero(attention.visible(len(tokens), device=x.device)[query].cpu().numpy())
    asks = query_read(attention, x, head=head, position=query)
    offers = [key_read(attention, x, head=head, position=int(key)) for key in keys]
    query_vector = _vector(asks, x[query])
    key_vectors = torch.stack([_vector(read, x[key]) for read, key in zip(offers, keys.tolist(), strict=True)])
    scores = attention.scoring.scale * (key_vectors @ query_vector)
    return HeadLook(
        query=query,
        keys=keys,
        scores=scores.cpu().numpy(),
        scale=attention.scoring.scale,
        soft_cap=attention.scoring.soft_cap,
        query_vector=query_vector,
        key_vectors=key_vectors,
        query_side=_side(asks, writes, n_sources=n_sources, behind=behind, position=query),
        key_sides=tuple(
            _side(read, writes, n_sources=n_sources, behind=behind, position=key)
            for read, key in zip(offers, keys.tolist(), strict=True)
        ),
    )


def check_place(model: ComponentModel, n_positions: int, *, layer: int, head: int, query: int) -> None:
    """Raises InputError, with all that is wrong, if there is no such head or position."""
    sizes = (("layer", layer, model.n_layers), ("head", head, model.n_heads), ("query position", query, n_positions))
    wrong = [f"the {what} must be 0 to {size - 1}, got {given}" for what, given, size in sizes if not 0 <= given < size]
    if wrong:
        raise InputError("; ".join(wrong))


def _side(read: HeadRead, writes: Writes, *, n_sources: int, behind: int, position: int) -> Side:
    return Side(
        by_node=read.of(writes.sources[0, position, :n_sources]),
        bias=read.bias + read.of(writes.constant[behind, 0, position][None])[0],
    )


def _vector(read: HeadRead, x: Float[Tensor, " d_model"]) -> Float64[Tensor, " d_head"]:
    return (read.of(x[None])[0] + read.bias).double()
