"""The gradient of a metric at the input of every receiver, in one backward pass.

The queries, keys and values of each head are tensors of its own, and every MLP reads a copy of the stream, so
their gradients are those of one receiver alone. Those of queries, keys and values are pulled back through the
head's weights and the norm only where they are used, a layer at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.layers import AttentionLayer
from circuitbase.tracing.components.norms import pulled
from circuitbase.tracing.components.running import Edit, Site, run

_VECTORS = (Site.QUERY, Site.KEY, Site.VALUE)
_ALL = (*_VECTORS, Site.MLP_INPUT, Site.LOGITS_INPUT)


@dataclass(frozen=True)
class ReceiverGradients:
    """Gradients by (site, layer): at queries, keys, values, MLP inputs, and the logits' input where it is read.

    `streams` are the inputs of the attention layers, [batch, position, d_model].
    """

    model: ComponentModel
    at: dict[tuple[Site, int], Tensor]
    streams: tuple[Float[Tensor, "batch position d_model"], ...]
    read_at: Int[Tensor, " batch"]

    def of_heads(self, layer: int) -> Float[Tensor, "batch position receiver d_model"]:
        """Returns the gradients at the inputs of a layer's queries, keys and values, in the graph's order."""
        attention, x = self.model.attention[layer], self.streams[layer]
        weights = (attention.W_Q, attention.W_K, attention.W_V)
        rows = [
            _through(attention, weight, self.at[site, layer]) for site, weight in zip(_VECTORS, weights, strict=True)
        ]
        return pulled(attention.norm, torch.cat(rows, dim=2), x)

    def of_mlp(self, layer: int) -> Float[Tensor, "batch position receiver d_model"]:
        """Returns the gradients at the input of an MLP, its one receiver."""
        return self.at[Site.MLP_INPUT, layer][:, :, None]

    def products(
        self, vectors: Float[Tensor, "batch position source d_model"]
    ) -> Float[Tensor, "batch source receiver"]:
        """Returns the products of what sources write with the gradients of what reads them, summed over positions.

        0 where there is no edge.
        """
        graph, n_heads = self.model.graph, self.model.n_heads
        found = vectors.new_zeros(len(vectors), graph.n_sources, graph.n_receivers)
        for layer in range(graph.n_layers):
            first = graph.port(layer, 0, Port.Q)
            sources = slice(graph.before_heads(layer))
            found[:, sources, first : first + 3 * n_heads] = _products(vectors[:, :, sources], self.of_heads(layer))
            sources, place = slice(graph.before_mlp(layer)), graph.mlp_input(layer)
            found[:, sources, place : place + 1] = _products(vectors[:, :, sources], self.of_mlp(layer))
        prompt = torch.arange(len(vectors), device=vectors.device)
        final = self.at[Site.LOGITS_INPUT, graph.n_layers]
        found[:, :, graph.logits] = torch.einsum("bsd,bd->bs", vectors[prompt, self.read_at], final)
        return found


def receiver_gradients(
    model: ComponentModel,
    stream: Float[Tensor, "batch position d_model"],
    measure: Callable[[Float[Tensor, "batch token"]], Float[Tensor, " batch"]],
    *,
    read_at: Int[Tensor, " batch"],
    edit: Edit | None = None,
) -> ReceiverGradients:
    """Returns the gradients of a metric, of which each prompt has its own, on a residual stream before block 0.

    `edit` changes the run, as in `run`; what no longer affects the metric has gradient 0. Raises InputError for a
    metric without a derivative.
    """
    at: dict[tuple[Site, int], Tensor] = {}
    streams: list[Tensor] = []

    def kept(site: Site, layer: int, x: Tensor) -> Tensor:
        if edit is not None:
            x = edit(site, layer, x)
        if site == Site.RESID_PRE:
            streams.append(x.detach())
        elif site in _ALL:
            x = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
            at[site, layer] = x
        return x

    with torch.enable_grad():
        logits = run(model, stream.detach().requires_grad_(), edit=kept, read_at=read_at)
        total = measure(logits).sum()
    if not total.requires_grad:
        raise InputError(
            "the metric has no derivative (it counts or compares, perhaps), which this method needs; "
            "take a smooth metric, or the method exact"
        )
    gradients = torch.autograd.grad(total, list(at.values()), allow_unused=True)
    filled = (torch.zeros_like(x) if found is None else found for x, found in zip(at.values(), gradients, strict=True))
    return ReceiverGradients(model, dict(zip(at, filled, strict=True)), tuple(streams), read_at)


def _through(
    attention: AttentionLayer,
    weight: Float[Tensor, "group d_model d_out"],
    gradient: Float[Tensor, "batch position head d_out"],
) -> Float[Tensor, "batch position head d_model"]:
    """Returns gradients at queries, keys or values as gradients at what their weight reads."""
    each = attention.n_heads // weight.shape[0]
    grouped = gradient.unflatten(2, (weight.shape[0], each))
    return torch.einsum("btgrk,gdk->btgrd", grouped, weight).flatten(2, 3)


def _products(
    vectors: Float[Tensor, "batch position source d_model"],
    gradients: Float[Tensor, "batch position receiver d_model"],
) -> Float[Tensor, "batch source receiver"]:
    return (vectors @ gradients.transpose(-1, -2)).sum(1)
