"""The logit lens: the residual stream before each block, read as if the model ended there (nostalgebraist 2020)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site, run

POSITIONS_AT_ONCE = 64


@dataclass(frozen=True)
class LogitLens:
    """The most probable tokens at each layer and position, the first first; the last layer is the model's own answer.

    Layer l is the residual stream before block l, through the final norm, the unembedding and any soft cap.
    """

    token: Int64[np.ndarray, "layer position rank"]
    probability: Float64[np.ndarray, "layer position rank"]


@torch.no_grad()
def logit_lens(model: ComponentModel, tokens: Int64[Tensor, " position"], *, top: int = 1) -> LogitLens:
    """Returns the `top` most probable tokens everywhere, or the whole vocabulary if that is smaller."""
    streams: list[Tensor] = []

    def kept(site: Site, _layer: int, x: Tensor) -> Tensor:
        if site in (Site.RESID_PRE, Site.LOGITS_INPUT):
            streams.append(x[0])
        return x

    embedded = model.embedded(tokens[None]).stream
    run(model, embedded, edit=kept, read_at=None)
    count = min(top, model.W_U.shape[0])
    found = []
    for stream in streams:
        for part in stream.split(POSITIONS_AT_ONCE):
            found.append(torch.topk(torch.softmax(model.logits(part).double(), dim=-1), count))
    shape = (len(streams), len(tokens), count)
    return LogitLens(
        token=torch.cat([each.indices for each in found]).cpu().numpy().reshape(shape),
        probability=torch.cat([each.values for each in found]).cpu().numpy().reshape(shape),
    )
