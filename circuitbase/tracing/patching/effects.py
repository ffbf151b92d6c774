"""What an intervention did to a metric, per pair and over pairs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from circuitbase.tracing.patching.directions import Direction


@dataclass(frozen=True)
class PatchEffects:
    """The metric of every pair: clean, corrupted, and with each place patched.

    `change` is m_patch − m of the run that was patched: 0 where the patch did nothing. `share` is
    (m_patch − m') / (m − m'), m the clean and m' the corrupted run: 1 is the clean answer, 0 the corrupted one,
    in both directions. So a patch that does nothing has share 1 when noising and 0 when denoising.
    """

    clean: Float[np.ndarray, " pair"]
    corrupted: Float[np.ndarray, " pair"]
    patched: Float[np.ndarray, "place pair"]
    direction: Direction

    @property
    def change(self) -> Float[np.ndarray, "place pair"]:
        """Returns m_patch − m of the run that was patched."""
        return self.patched - (self.clean if self.direction == Direction.NOISING else self.corrupted)

    @property
    def shares(self) -> Float[np.ndarray, "place pair"]:
        """Returns the share of every pair; NaN where m = m'."""
        between = self.clean - self.corrupted
        return np.divide(
            self.patched - self.corrupted,
            between,
            out=np.full_like(self.patched, np.nan),
            where=np.broadcast_to(between != 0, self.patched.shape),
        )

    @property
    def mean_of_ratios(self) -> Float[np.ndarray, " place"]:
        """Returns the mean over pairs of their shares; NaN where a pair has none. Pairs of small m − m' rule it."""
        return self.shares.mean(1)

    @property
    def ratio_of_means(self) -> Float[np.ndarray, " place"]:
        """Returns (mean m_patch − mean m') / (mean m − mean m'); NaN where that is no number."""
        between = float(self.clean.mean() - self.corrupted.mean())
        above = self.patched.mean(1) - self.corrupted.mean()
        return above / between if between else np.full_like(above, np.nan)

    @property
    def relative_change(self) -> Float[np.ndarray, " place"]:
        """Returns mean change / (mean m − mean m'): below 0 the patch takes the clean answer away; NaN if no number."""
        between = float(self.clean.mean() - self.corrupted.mean())
        change = self.change.mean(1)
        return change / between if between else np.full_like(change, np.nan)
