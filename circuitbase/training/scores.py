"""How well a transcoder explains an MLP: unexplained variance, sparsity, dead features."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.training.transcoder import Transcoder

CHUNK = 8192  # rows at a time, so that a fp64 activation table stays below 100 MB


@dataclass(frozen=True)
class TranscoderScore:
    """Scores over one evaluation set; `dead` is the share of features that fire on none of its rows."""

    fvu: float
    l0: float
    dead: float
    rows: int


def fraction_of_variance_unexplained(
    wanted: Float[Tensor, "row d_model"], found: Float[Tensor, "row d_model"]
) -> float:
    """Returns `Σ‖y−ŷ‖² / Σ‖y−ȳ‖²` in fp64, ȳ over all rows: perfect is 0, the mean is 1, offsets are punished."""
    y, y_hat = wanted.double(), found.double()
    return ((y - y_hat).square().sum() / (y - y.mean(0)).square().sum()).item()


@torch.no_grad()
def score_transcoder(
    transcoder: Transcoder, inputs: Float[Tensor, "row d_model"], outputs: Float[Tensor, "row d_model"]
) -> TranscoderScore:
    """Returns the scores of a transcoder on rows that the caller chose (positions without nodes left out)."""
    exact = transcoder.to(torch.float64)
    mean = outputs.double().mean(0)
    unexplained = variance = 0.0
    fired = torch.zeros(transcoder.n_features, dtype=torch.int64)
    for read, wrote in zip(inputs.split(CHUNK), outputs.split(CHUNK), strict=True):
        activations = exact.encode(read.double())
        y = wrote.double()
        unexplained += (y - exact.decode(activations)).square().sum().item()
        variance += (y - mean).square().sum().item()
        fired += (activations != 0).sum(0)
    return TranscoderScore(
        fvu=unexplained / variance,
        l0=fired.sum().item() / len(inputs),
        dead=(fired == 0).double().mean().item(),
        rows=len(inputs),
    )
