"""Activation patching: values of one run put into another, at many places in few passes."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.running import Edit, Site, run
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.paired import PairedPrompts
from circuitbase.tracing.patching.places import Place
from circuitbase.tracing.patching.seen_run import SeenRun, seen_run

ROWS = 256  # prompts in one pass
Values = Mapping[tuple[Site, int], Tensor]


def patched_metrics(
    model: ComponentModel,
    pairs: PairedPrompts,
    patches: Sequence[Sequence[Place]],
    *,
    direction: Direction,
    rows: int = ROWS,
) -> Float[Tensor, "patch pair"]:
    """Returns the metric of every patch: m_patch of methods.md section 7.

    A patch is the places that are changed together; each patch is made alone. At most `rows` prompts (and one
    patch of all pairs) go through the model at once, from the first layer that is patched on; the numbers do not
    depend on it.
    """
    sites = {place.at for places in patches for place in places}
    other = seen_run(model, pairs.other(direction).stream, sites=sites, read_at=pairs.read_at)
    return metrics_with(model, pairs, patches, into=pairs.base(direction), values=other.values, rows=rows)


@torch.no_grad()
def metrics_with(
    model: ComponentModel,
    pairs: PairedPrompts,
    patches: Sequence[Sequence[Place]],
    *,
    into: Embedding,
    values: Values,
    rows: int = ROWS,
) -> Float[Tensor, "patch pair"]:
    """Returns the metric of the run of `into` with the places of each patch given these values, [pair, ...]."""
    base = seen_run(model, into.stream, sites={Site.RESID_PRE}, read_at=pairs.read_at)
    found = torch.zeros(len(patches), pairs.n_pairs, dtype=base.logits.dtype, device=base.logits.device)
    starts = [min((place.layer for place in places), default=0) for places in patches]
    order = sorted(range(len(patches)), key=starts.__getitem__)
    together = max(1, rows // pairs.n_pairs)
    for first in range(0, len(order), together):
        chosen = order[first : first + together]
        found[chosen] = _patched_together(
            model, pairs, [patches[number] for number in chosen], start=starts[chosen[0]], base=base, values=values
        )
    return found


def _patched_together(
    model: ComponentModel,
    pairs: PairedPrompts,
    chosen: Sequence[Sequence[Place]],
    *,
    start: int,
    base: SeenRun,
    values: Values,
) -> Float[Tensor, "patch pair"]:
    logits = run(
        model,
        base.values[Site.RESID_PRE, start].repeat(len(chosen), 1, 1),
        edit=replacing(chosen, values, n_pairs=pairs.n_pairs),
        start=start,
        read_at=pairs.read_at.repeat(len(chosen)),
    )
    return pairs.metric(logits, pairs.numbers.repeat(len(chosen))).unflatten(0, (len(chosen), pairs.n_pairs))


def replacing(patches: Sequence[Sequence[Place]], values: Values, *, n_pairs: int) -> Edit:
    """Returns an edit that changes the first `n_pairs` rows as the first patch says, the next ones as the second."""

    def edit(site: Site, layer: int, x: Tensor) -> Tensor:
        here = [
            (number, place)
            for number, places in enumerate(patches)
            for place in places
            if place.at == site and place.layer <= layer <= place.last_layer
        ]
        if not here:
            return x
        changed = x.clone().unflatten(0, (len(patches), n_pairs))
        for number, place in here:
            where = part(place)
            changed[number][where] = values[site, layer][where]
        return changed.flatten(0, 1)

    return edit


def part(place: Place) -> tuple[int | slice, ...]:
    """Returns the index of a place's values in a tensor [batch, ...] at its site."""
    everything = slice(None)
    head = everything if place.head is None else place.head
    position = everything if place.position is None else place.position
    if place.at == Site.PATTERN:
        return (everything, head, position)
    return (everything, position, head) if place.site.by_head else (everything, position)
