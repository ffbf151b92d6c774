"""Direct logit attribution: what each component's write adds to a logit, with the final norm's denominator held.

The logit is one before any final soft cap, less the mean logit or less another token's. Effects of all components and
of the constants add up to it exactly.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.norms import normed
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.components.writes import component_writes, constant_before_heads
from circuitbase.tracing.frozen_norm import FrozenNorm, frozen_norm, no_norm
from circuitbase.tracing.parts import Norm


@dataclass(frozen=True)
class LogitAttribution:
    """Effects in the order of `sources`: the input, then of each layer its heads and its MLP.

    `effect.sum() + bias` is `logit`. `by_position` splits each head's effect by the position whose values it moved;
    what other components write is at the position that is read.
    """

    sources: tuple[str, ...]
    effect: Float64[np.ndarray, " source"]
    bias: float
    logit: float
    by_position: Float64[np.ndarray, "source position"]


@torch.no_grad()
def logit_attribution(
    model: ComponentModel,
    tokens: Int64[Tensor, " position"],
    *,
    answer: int,
    distractor: int | None = None,
    position: int = -1,
) -> LogitAttribution:
    """Returns the effects on the answer's logit at a position, less the distractor's or else the mean logit.

    Raises InputError for a position or a token that is not there.
    """
    place = _place(model, len(tokens), position=position, named=(answer, distractor))
    embedding = model.embedded(tokens[None])
    writes = component_writes(model, embedding)
    constant = writes.constant[constant_before_heads(model.n_layers), 0, place].double()
    here = writes.sources[0, place].double()
    x = here.sum(0) + constant
    read, b_U = _read(model, answer=answer, distractor=distractor)
    norm = _frozen(model.final_norm, x[None])
    row = norm.pulled(read[None], torch.zeros(1, dtype=torch.int64, device=x.device))[0]
    effect = (here @ row).cpu().numpy()
    direct = normed(_double(model.final_norm), x[None])[0]
    return LogitAttribution(
        sources=model.graph.source_names,
        effect=effect,
        bias=float(norm.constant(read[None])[0] + constant @ row) + b_U,
        logit=float(direct @ read) + b_U,
        by_position=_by_position(model, embedding.stream, row, effect, place=place),
    )


def _by_position(
    model: ComponentModel,
    x: Float[Tensor, "batch position d_model"],
    row: Float64[Tensor, " d_model"],
    effect: Float64[np.ndarray, " source"],
    *,
    place: int,
) -> Float64[np.ndarray, "source position"]:
    """Returns the effects by position: a head moves `pattern · value` from each."""
    found = np.zeros((len(effect), x.shape[1]))
    found[:, place] = effect
    seen: dict[Site, Tensor] = {}

    def kept(site: Site, layer: int, tensor: Tensor) -> Tensor:
        seen[site] = tensor[0]
        if site == Site.MIXED:
            attention = model.attention[layer]
            after = _frozen(attention.post_norm, attention.written_before_norm(tensor)[0, place][None].double())
            rows = after.pulled(row[None], torch.zeros(1, dtype=torch.int64, device=row.device))[0]
            moved = torch.einsum("khv,hvd,d->hk", seen[Site.VALUE].double(), attention.W_O.double(), rows)
            first = model.graph.head(layer, 0)
            by_key = seen[Site.PATTERN][:, place].double() * moved
            found[first : first + model.n_heads] = by_key.cpu().numpy()
        return tensor

    run(model, x, edit=kept)
    return found


def _read(model: ComponentModel, *, answer: int, distractor: int | None) -> tuple[Float64[Tensor, " d_model"], float]:
    """Returns what reads the logit behind the final norm, and the unembedding's bias in it."""
    read = model.W_U[answer].double()
    read = read - (model.W_U.mean(0, dtype=torch.float64) if distractor is None else model.W_U[distractor].double())
    if model.b_U is None:
        return read, 0.0
    other = model.b_U.mean(dtype=torch.float64) if distractor is None else model.b_U[distractor].double()
    return read, float(model.b_U[answer].double() - other)


def _frozen(norm: Norm | None, x: Float[Tensor, "position d_model"]) -> FrozenNorm:
    return no_norm(x) if norm is None else frozen_norm(norm, x)


def _double(norm: Norm | None) -> Norm | None:
    if norm is None:
        return None
    bias = None if norm.bias is None else norm.bias.double()
    return Norm(norm.module, norm.weight.double(), bias, norm.epsilon, norm.centred)


def _place(model: ComponentModel, n_positions: int, *, position: int, named: tuple[int | None, ...]) -> int:
    if not -n_positions <= position < n_positions:
        raise InputError(f"the position must be {-n_positions} to {n_positions - 1} on this prompt, got {position}")
    wrong = [str(token) for token in named if token is not None and not 0 <= token < model.W_U.shape[0]]
    if wrong:
        raise InputError(f"a token must be 0 to {model.W_U.shape[0] - 1} in this model, got {', '.join(wrong)}")
    return position % n_positions
