"""The attention patterns of all heads on tokens."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site, run

BATCH_SIZE = 32


@torch.no_grad()
def attention_patterns(
    model: ComponentModel, tokens: Int[Tensor, "batch position"], *, batch_size: int = BATCH_SIZE
) -> Float[Tensor, "batch layer head query key"]:
    """Returns the patterns on the CPU, computed for so many sequences at a time."""
    return torch.cat([_patterns(model, some) for some in tokens.split(batch_size)])


def _patterns(
    model: ComponentModel, tokens: Int[Tensor, "batch position"]
) -> Float[Tensor, "batch layer head query key"]:
    found: list[Tensor] = []

    def kept(site: Site, _layer: int, x: Tensor) -> Tensor:
        if site == Site.PATTERN:
            found.append(x.cpu())
        return x

    # logits are not asked for, and a large vocabulary's at every position would cost most of the time
    stream = model.embedded(tokens).stream
    run(model, stream, edit=kept, read_at=torch.zeros(len(tokens), dtype=torch.int64, device=stream.device))
    return torch.stack(found, dim=1)
