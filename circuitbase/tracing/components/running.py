"""A forward pass through a model's components, with any of its numbers looked at or changed on the way."""

from collections.abc import Callable
from enum import StrEnum

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel


class Site(StrEnum):
    """A place in a forward pass; [batch, position, ...] unless said otherwise.

    The inputs of queries, keys, values and MLP are the residual stream before the norm; an edit may give a head of
    its own input by returning [batch, position, head, d_model] for the first three. `MIXED` are a head's values
    under its pattern, before the output weight: to change a head's write, change these.
    """

    RESID_PRE = "resid_pre"  # d_model: before the block
    QUERY_INPUT = "query_input"  # d_model, or head d_model
    KEY_INPUT = "key_input"
    VALUE_INPUT = "value_input"
    QUERY = "query"  # head d_head, before norm and rotation
    KEY = "key"
    VALUE = "value"
    SCORES = "scores"  # [batch, head, query, key], after any soft cap
    PATTERN = "pattern"  # [batch, head, query, key]
    MIXED = "mixed"  # head d_value
    ATTENTION = "attention"  # d_model: what the layer adds, behind any norm after it
    RESID_MID = "resid_mid"  # d_model: between attention and MLP; not in a parallel block
    MLP_INPUT = "mlp_input"  # d_model
    NEURONS = "neurons"  # neuron: what the output weight multiplies
    MLP = "mlp"  # d_model: what the MLP adds, behind any norm after it
    RESID_POST = "resid_post"  # d_model: after the block
    LOGITS_INPUT = "logits_input"  # d_model: before the final norm, at the positions that are read


Edit = Callable[[Site, int, Tensor], Tensor]


def run(
    model: ComponentModel,
    x: Float[Tensor, "batch position d_model"],
    *,
    edit: Edit | None = None,
    start: int = 0,
    read_at: Int[Tensor, " batch"] | None = None,
) -> Float[Tensor, "batch *position token"]:
    """Returns the logits of a residual stream `x` before block `start`, at all positions or at `read_at`.

    `edit(site, layer, tensor)` is called at every site, in order, and what it returns goes on; it may keep
    what it sees. The layer of `LOGITS_INPUT` is the number of layers.
    """
    at = edit or _unchanged
    for layer in range(start, model.n_layers):
        x = at(Site.RESID_PRE, layer, x)
        attention = _attention(model, layer, x, at)
        if model.parallel:
            x = x + attention + _mlp(model, layer, x, at)
        else:
            x = at(Site.RESID_MID, layer, x + attention)
            x = x + _mlp(model, layer, x, at)
        x = at(Site.RESID_POST, layer, x)
    if read_at is not None:
        x = x[torch.arange(len(x), device=x.device), read_at]
    return model.logits(at(Site.LOGITS_INPUT, model.n_layers, x))


def _attention(
    model: ComponentModel, layer: int, x: Float[Tensor, "batch position d_model"], at: Edit
) -> Float[Tensor, "batch position d_model"]:
    attention = model.attention[layer]
    queries = at(Site.QUERY, layer, attention.queries(at(Site.QUERY_INPUT, layer, x)))
    keys = at(Site.KEY, layer, attention.keys(at(Site.KEY_INPUT, layer, x)))
    values = at(Site.VALUE, layer, attention.values(at(Site.VALUE_INPUT, layer, x)))
    scores = at(Site.SCORES, layer, attention.scores(queries, keys))
    pattern = at(Site.PATTERN, layer, torch.softmax(scores, dim=-1))
    mixed = at(Site.MIXED, layer, attention.mixed(pattern, values))
    return at(Site.ATTENTION, layer, attention.written(mixed))


def _mlp(
    model: ComponentModel, layer: int, x: Float[Tensor, "batch position d_model"], at: Edit
) -> Float[Tensor, "batch position d_model"]:
    mlp = model.mlps[layer]
    neurons = at(Site.NEURONS, layer, mlp.neurons(at(Site.MLP_INPUT, layer, x)))
    return at(Site.MLP, layer, mlp.written_from(neurons))


def _unchanged(_site: Site, _layer: int, tensor: Tensor) -> Tensor:
    return tensor
