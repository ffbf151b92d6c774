"""A forward pass with the values at some sites kept."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site, run


@dataclass(frozen=True)
class SeenRun:
    """The logits of a run and, by (site, layer), what was there."""

    logits: Float[Tensor, "batch token"]
    values: dict[tuple[Site, int], Tensor]


@torch.no_grad()
def seen_run(
    model: ComponentModel,
    x: Float[Tensor, "batch position d_model"],
    *,
    sites: Collection[Site],
    read_at: Int[Tensor, " batch"],
) -> SeenRun:
    """Returns the run of a residual stream before block 0, with the values at these sites."""
    values: dict[tuple[Site, int], Tensor] = {}

    def kept(site: Site, layer: int, value: Tensor) -> Tensor:
        if site in sites:
            values[site, layer] = value
        return value

    return SeenRun(run(model, x, edit=kept, read_at=read_at), values)
