"""How complete a global circuit is: what share of what recurs was seen, and what further prompts would bring.

The traces are the samples, the edges the species. Of a sample of traces the edges seen once and twice say how
many were not seen at all (Good 1953; Chao 1987; extrapolation of Chao et al. 2014, section on incidence data).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Coverage:
    """What the edges of `traces` traces say about those that were not seen.

    `coverage` is Good-Turing's 1 − singletons / occurrences: the share of the occurrences in one more trace that
    fall on edges which were seen before. `unseen` is Chao's lower estimate of edges that no trace has shown.
    """

    traces: int
    edges: int
    occurrences: int
    singletons: int
    doubletons: int

    @property
    def coverage(self) -> float | None:
        """Returns Good-Turing's coverage, None where there is no edge."""
        return 1 - self.singletons / self.occurrences if self.occurrences else None

    @property
    def unseen(self) -> float:
        """Returns Chao's estimate (bias-corrected where no edge was seen twice)."""
        if not self.traces:
            return 0.0
        shrink, once, twice = (self.traces - 1) / self.traces, self.singletons, self.doubletons
        return shrink * (once**2 / (2 * twice) if twice else once * (once - 1) / 2)

    def new_edges(self, further: int) -> float:
        """Returns how many new edges so many further traces are expected to show."""
        unseen = self.unseen
        if not unseen or not self.singletons:
            return 0.0
        return unseen * (1 - (1 - self.singletons / (self.traces * unseen + self.singletons)) ** further)
