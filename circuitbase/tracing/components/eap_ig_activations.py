"""Edge attribution patching with gradients integrated along what each group of writers writes.

EAP-IG's second form (Hanna et al. 2024; Marks et al. 2024 for nodes). Groups are the input, each layer's heads
together, and each MLP. Along a group's path its writes go from ablated to clean as constants while everything else
is run from the clean prompt; an edge's score takes the mean of its receiver's gradients over the paths of **all**
groups. Behind a norm after attention a head's write is what the norm makes of it, so the path is straight there.
"""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.integration import nodes
from circuitbase.tracing.components.method_result import Found
from circuitbase.tracing.components.receiver_gradients import ReceiverGradients, receiver_gradients
from circuitbase.tracing.components.running import Edit, Site


def eap_ig_activations(contrast: Contrast, options: AttributionOptions) -> Found:
    """Returns the scores by gradients averaged over the paths of all groups of writers."""
    assert options.rule is not None and options.steps is not None
    along = nodes(options.rule, options.steps)
    n_groups = 1 + 2 * contrast.model.n_layers
    scores = contrast.difference.new_zeros(())
    for place, weight in zip(along.places, along.weights, strict=True):
        for gradients in _of_groups(contrast, place):
            scores = scores + weight / n_groups * gradients.products(contrast.difference)
    return Found(scores)


def _of_groups(contrast: Contrast, place: float) -> Iterator[ReceiverGradients]:
    """Yields the gradients with each group in turn at a place between ablated (0) and clean (1)."""
    model, graph, embedding = contrast.model, contrast.model.graph, contrast.embedding
    change = (place - 1) * contrast.difference

    def gradients(stream: Tensor, edit: Edit | None = None) -> ReceiverGradients:
        return receiver_gradients(model, stream, contrast.measure, read_at=contrast.batch.read_at, edit=edit)

    yield gradients(embedding.stream + change[:, :, 0])
    for layer in range(model.n_layers):
        first, mlp = graph.head(layer, 0), graph.mlp(layer)
        yield gradients(embedding.stream, _shifted(Site.ATTENTION, layer, change[:, :, first:mlp].sum(2)))
        yield gradients(embedding.stream, _shifted(Site.MLP, layer, change[:, :, mlp]))


def _shifted(at: Site, layer: int, change: Float[Tensor, "batch position d_model"]) -> Edit:
    """Returns the edit that makes a write a constant: what it is on the clean prompt (as all before it is), changed."""

    def edit(site: Site, of_layer: int, x: Tensor) -> Tensor:
        return x.detach() + change if (site, of_layer) == (at, layer) else x

    return edit
