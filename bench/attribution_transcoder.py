"""Transcoders with random weights whose activity is chosen.

Each feature's bias lies as many standard deviations below its mean pre-activation as makes the wished number of
features active on what a model's MLP reads.
"""

import torch
from torch import Tensor

CHUNK = 8192  # features whose pre-activations are in memory at once


def transcoder(
    r: Tensor, y: Tensor, *, n_features: int, active: float, generator: torch.Generator
) -> dict[str, Tensor]:
    """Returns one layer's weights for MLP inputs r and outputs y, [sampled, d_model], on their device.

    `active` features fire on average; they write as much as the MLP does, in random directions.
    """
    size, d_model = (n_features, r.shape[1]), r.shape[1]
    W_enc = torch.randn(size, generator=generator, device=r.device) / d_model**0.5
    W_dec = torch.randn(size, generator=generator, device=r.device) / d_model**0.5
    mean = W_enc @ r.mean(0)
    spread = ((W_enc @ torch.cov(r.T)) * W_enc).sum(1).sqrt()
    b_enc = -(mean + _raised(W_enc, r, mean, spread, active=active) * spread)
    energy = sum(
        float((r @ rows.T + bias).relu().square().sum())
        for rows, bias in zip(W_enc.split(CHUNK), b_enc.split(CHUNK), strict=True)
    )
    centre = y.mean(0)
    # rows of random direction: the squares of what they write add up, here to those of what the MLP writes
    W_dec *= ((y - centre).square().sum() / energy).sqrt()
    return {"W_enc": W_enc, "W_dec": W_dec, "b_enc": b_enc, "b_dec": centre}


def _raised(W_enc: Tensor, r: Tensor, mean: Tensor, spread: Tensor, *, active: float) -> float:
    """Returns how many standard deviations above its mean a pre-activation is as rarely as wished."""
    wished = round(active * len(r))
    largest = torch.empty(0, device=r.device)
    for start in range(0, len(W_enc), CHUNK):
        here = slice(start, start + CHUNK)
        z = ((r @ W_enc[here].T - mean[here]) / spread[here]).flatten()
        both = torch.cat([largest, z])
        largest = both.topk(min(wished + 1, len(both))).values
    return float(largest[-1])
