"""Attribution patching: activation patching to first order, for all places of a site in one pass backwards."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.patching.activation_patching import part
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.paired import PairedPrompts
from circuitbase.tracing.patching.places import Place
from circuitbase.tracing.patching.seen_run import seen_run


def attributed_metrics(
    model: ComponentModel, pairs: PairedPrompts, places: Sequence[Place], *, direction: Direction
) -> Float[Tensor, "place pair"]:
    """Returns the metric with each place patched, to first order: m_base + (other − base) · ∂m/∂value at the base.

    Of a window of layers it is the sum over them: the derivative of patching all by a small step. Source: Nanda
    2023, attribution patching.
    """
    sites = {place.at for place in places}
    other = seen_run(model, pairs.other(direction).stream, sites=sites, read_at=pairs.read_at)
    values: dict[tuple[Site, int], Tensor] = {}

    def kept(site: Site, layer: int, value: Tensor) -> Tensor:
        if site in sites:
            values[site, layer] = value
        return value

    with torch.enable_grad():
        stream = pairs.base(direction).stream.detach().requires_grad_()
        metric = pairs.metric(run(model, stream, edit=kept, read_at=pairs.read_at), pairs.numbers)
        gradients = torch.autograd.grad(metric.sum(), list(values.values()), materialize_grads=True)
    effects = {
        at: ((other.values[at] - value.detach()) * gradient)
        for (at, value), gradient in zip(values.items(), gradients, strict=True)
    }
    changes = [
        sum(effects[place.at, layer][part(place)].flatten(1).sum(1) for layer in _layers(place)) for place in places
    ]
    return metric.detach() + torch.stack(changes)  # type: ignore[arg-type]  # no place is without layers


def _layers(place: Place) -> range:
    return range(place.layer, place.last_layer + 1)
