"""Where a head looks: its attention weights from every position of a prompt."""

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from circuitbase.tracing.attention.component_scores import check_place
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site, run


@torch.no_grad()
def attention_patterns(
    model: ComponentModel, tokens: Int64[Tensor, " position"], heads: list[tuple[int, int]]
) -> list[Float64[np.ndarray, "query key"]]:
    """Returns the pattern of each (layer, head); raises InputError for one that is not there."""
    for layer, head in heads:
        check_place(model, len(tokens), layer=layer, head=head, query=0)
    patterns: list[Tensor] = []

    def kept(site: Site, _layer: int, tensor: Tensor) -> Tensor:
        if site == Site.PATTERN:
            patterns.append(tensor[0])
        return tensor

    run(model, model.embedded(tokens[None]).stream, edit=kept)
    return [patterns[layer][head].double().cpu().numpy() for layer, head in heads]
