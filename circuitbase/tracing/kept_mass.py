"""The largest effects on each target, up to a share of its absolute input."""

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

_BITS = 17  # of a float32 that a bin does not tell apart: 64 bins an octave
_BINS = 64 * 24


def largest_up_to(
    weight: Float[Tensor, "target column"], total: Float64[Tensor, " target"], *, share: float
) -> Bool[Tensor, "target column"]:
    """Returns which effects are the fewest, from the largest down, that make up `share` of each target's `total`.

    Of equal ones the earlier column goes first. Rows are not sorted: their mass is summed in narrow bins of
    magnitude, and only the bin in which the share is reached is looked at in detail.
    """
    magnitude = weight.abs()
    key = _key(magnitude)
    top = key.amax(1, keepdim=True)
    below = (top - key).clamp_(max=_BINS - 1)
    mass = torch.zeros(len(weight), _BINS, dtype=torch.float64, device=weight.device)
    mass.scatter_add_(1, below, magnitude.double())
    running = mass.cumsum(1)
    wanted = share * total
    place = torch.searchsorted(running, wanted[:, None]).clamp_(max=_BINS - 1)
    kept = below < place
    above = running.gather(1, place) - mass.gather(1, place)
    row, column = torch.nonzero(below == place, as_tuple=True)
    # as shares of their rows, since one running sum over rows of any size would lose the small ones in rounding
    unit = torch.where(total > 0, total, 1)
    chosen = _first_in_rows(
        row.cpu().numpy(),
        (magnitude[row, column].double() / unit[row]).cpu().numpy(),
        missing=((wanted - above[:, 0]) / unit).cpu().numpy(),
    )
    kept[row, column] = torch.from_numpy(chosen).to(weight.device)
    return kept & (magnitude > 0)


def _key(magnitude: Float[Tensor, "target column"]) -> Tensor:
    """Returns numbers that grow with the magnitude: the exponent and the first bits of the fraction."""
    return (magnitude.float().view(torch.int32) >> _BITS).long()


def _first_in_rows(
    row: np.ndarray, magnitude: Float64[np.ndarray, " place"], *, missing: Float64[np.ndarray, " target"]
) -> Bool[np.ndarray, " place"]:
    """Returns, in each row, the largest places until their sum reaches what is missing there."""
    order = np.lexsort((-magnitude, row))
    running = np.cumsum(magnitude[order])
    first = np.searchsorted(row[order], np.arange(len(missing)))
    before_row = np.concatenate([[0.0], running])[first]
    chosen = np.zeros(len(row), dtype=bool)
    chosen[order] = running - magnitude[order] - before_row[row[order]] < missing[row[order]]
    return chosen
