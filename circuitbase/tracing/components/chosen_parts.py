"""The neurons and attention links that get nodes of their own: so many of a layer, the most influential."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.derivatives import HeadGradients, through_neurons
from circuitbase.tracing.components.layers import MlpLayer
from circuitbase.tracing.components.norms import shaped_over, unshaped_over
from circuitbase.tracing.components.seen import SeenLayer


@dataclass(frozen=True)
class ChosenNeurons:
    """Neurons at positions, ascending; `gradient` is that of the outputs through each behind the MLP's norm."""

    position: Int[Tensor, " chosen"]
    neuron: Int[Tensor, " chosen"]
    activation: Float[Tensor, " chosen"]
    write: Float[Tensor, "chosen d_model"]
    gradient: Float[Tensor, "chosen d_model"]


@dataclass(frozen=True)
class ChosenLinks:
    """A head's attention from positions to positions, ascending; `weight` is the score times its gradient."""

    head: Int[Tensor, " chosen"]
    query: Int[Tensor, " chosen"]
    key: Int[Tensor, " chosen"]
    pattern: Float[Tensor, " chosen"]
    weight: Float[Tensor, " chosen"]


def chosen_neurons(
    mlp: MlpLayer,
    seen: SeenLayer,
    behind: Float[Tensor, "position d_model"],
    gradient: Float[Tensor, "position neuron"],
    options: ComponentOptions,
) -> ChosenNeurons:
    """Returns the neurons whose write times `behind`, the gradient behind the MLP, is largest.

    `gradient` is that at the neurons. Behind a norm, a neuron writes with the denominator of the whole output.
    """
    raw = mlp.written_before_norm(seen.neurons)
    share = behind if mlp.post_norm is None else unshaped_over(mlp.post_norm, behind, raw)
    influence = seen.neurons * (share @ mlp.W_out.T)
    position, neuron = _largest(influence, options, count=options.neurons)
    activation = seen.neurons[position, neuron]
    write = activation[:, None] * mlp.W_out[neuron]
    if mlp.post_norm is not None:
        write = shaped_over(mlp.post_norm, write, raw[position])
    rows = gradient.new_zeros(len(position), mlp.n_neurons)
    rows[torch.arange(len(position), device=rows.device), neuron] = gradient[position, neuron]
    return ChosenNeurons(
        position=position,
        neuron=neuron,
        activation=activation,
        write=write,
        gradient=through_neurons(mlp, seen.middle[position], rows),
    )


def chosen_links(seen: SeenLayer, gradients: HeadGradients, options: ComponentOptions, *, scale: float) -> ChosenLinks:
    """Returns the links whose score times its gradient is largest."""
    weight = gradients.scores * seen.raw_scores / scale
    n_positions = weight.shape[1]
    place, key = _largest(weight.flatten(0, 1), options, count=options.links)
    head, query = place // n_positions, place % n_positions
    return ChosenLinks(
        head=head, query=query, key=key, pattern=seen.pattern[head, query, key], weight=weight[head, query, key]
    )


def _largest(
    influence: Float[Tensor, "place part"], options: ComponentOptions, *, count: int
) -> tuple[Int[Tensor, " chosen"], Int[Tensor, " chosen"]]:
    """Returns (place, part) of the largest |influence| that pass the thresholds, ascending."""
    size = influence.abs().flatten()
    count = min(count, len(size))
    if count == 0:
        none = torch.zeros(0, dtype=torch.long, device=size.device)
        return none, none
    found = torch.topk(size, count)
    rounding = torch.finfo(size.dtype).eps
    bound = max(options.tau, max(options.relative_tau, rounding) * float(found.values[0]))
    chosen = found.indices[(found.values >= bound) & (found.values > 0)].sort().values
    return chosen // influence.shape[1], chosen % influence.shape[1]
