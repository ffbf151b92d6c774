"""Influence propagation: gradients from the outputs down, which stop at what has too little influence.

A node's influence is its write times the gradient of the outputs where it is written: what the outputs would lose,
to first order, without it. Stage by stage (a layer's MLP, then its heads) nodes below the threshold are dropped,
and only the gradients through kept ones go on; with no threshold they are those of the model, nothing frozen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuitbase.tracing.components.chosen_parts import ChosenLinks, ChosenNeurons, chosen_links, chosen_neurons
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.derivatives import (
    HeadGradients,
    at_heads,
    at_neurons,
    at_stream,
    pulled_one,
    through_neurons,
)
from circuitbase.tracing.components.seen import SeenPrompt


@dataclass(frozen=True)
class End:
    """What a trace ends in: a gradient [d_model] at a position, at the stream before block `layer`.

    `layer` is n_layers for what is read after the last block. `weight` is w of the influence.
    """

    layer: int
    position: int
    gradient: Float[Tensor, " d_model"]
    weight: float


@dataclass(frozen=True)
class PropagatedLayer:
    """What one block keeps, and the gradients at it.

    `heads` are gradients at kept heads alone. `mlp_write` is what the MLP adds without the chosen neurons,
    `mlp_gradient` the gradient through that behind the MLP's norm, 0 where it was dropped.
    """

    kept_heads: Bool[Tensor, "position head"]
    heads: HeadGradients
    links: ChosenLinks
    kept_mlp: Bool[Tensor, " position"]
    mlp_write: Float[Tensor, "position d_model"]
    mlp_gradient: Float[Tensor, "position d_model"]
    neurons: ChosenNeurons


@dataclass(frozen=True)
class Propagated:
    """A prompt's gradients, layer by layer; `input` is that at the token embeddings."""

    layers: tuple[PropagatedLayer, ...]
    input: Float[Tensor, "position d_model"]


@torch.no_grad()
def propagated(model: ComponentModel, seen: SeenPrompt, ends: Sequence[End], options: ComponentOptions) -> Propagated:
    """Returns the gradients of the weighted sum of the ends, and what they reach."""
    gradient = torch.zeros_like(seen.final)
    for end in ends:
        if end.layer == model.n_layers:
            gradient[end.position] += end.weight * end.gradient
    layers: list[PropagatedLayer] = []
    for layer in reversed(range(model.n_layers)):
        found, gradient = _through_block(model, layer, seen, gradient, options)
        layers.append(found)
        for end in ends:
            if end.layer == layer:
                gradient[end.position] += end.weight * end.gradient
    return Propagated(layers=tuple(reversed(layers)), input=gradient)


def _through_block(
    model: ComponentModel,
    layer: int,
    seen: SeenPrompt,
    behind: Float[Tensor, "position d_model"],
    options: ComponentOptions,
) -> tuple[PropagatedLayer, Float[Tensor, "position d_model"]]:
    """Returns what a block keeps, and the gradient before it, given the one behind it."""
    mlp, at = model.mlps[layer], seen.layers[layer]
    neuron_gradient = at_neurons(mlp, at.neurons, behind)
    neurons = chosen_neurons(mlp, at, behind, neuron_gradient, options)
    mlp_write = at.mlp.index_add(0, neurons.position, -neurons.write)
    kept_mlp = _kept((mlp_write * behind).sum(-1), options)
    rest = neuron_gradient.index_put((neurons.position, neurons.neuron), neuron_gradient.new_zeros(()))
    mlp_gradient = through_neurons(mlp, at.middle, rest * kept_mlp[:, None])
    into_mlp = pulled_one(mlp.norm, mlp_gradient.index_add(0, neurons.position, neurons.gradient), at.middle)
    behind_heads = behind if model.parallel else behind + into_mlp

    attention = model.attention[layer]
    kept_heads = _kept(torch.einsum("phd,pd->ph", at.heads, behind_heads), options)
    heads = at_heads(attention, at, behind_heads, kept=kept_heads)
    before = behind + into_mlp + at_stream(attention, at, heads)
    return (
        PropagatedLayer(
            kept_heads=kept_heads,
            heads=heads,
            links=chosen_links(at, heads, options, scale=attention.scoring.scale),
            kept_mlp=kept_mlp,
            mlp_write=mlp_write,
            mlp_gradient=mlp_gradient,
            neurons=neurons,
        ),
        before,
    )


def _kept(influence: Float[Tensor, "*place"], options: ComponentOptions) -> Bool[Tensor, "*place"]:
    """Returns which nodes of a stage go on."""
    size = influence.abs()
    return size >= max(options.tau, options.relative_tau * float(size.max()))
