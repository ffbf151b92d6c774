"""What several configurations agree on: the edges that hold under all of them, and those that hold under some.

CIRCUS (2603.00523; methods.md section 3): s(e) is the fraction of configurations that keep an edge in a prompt, an
edge with s = 1 is core, any other contingent. Where only prunings vary, the core is the strictest one's circuit.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64


@dataclass(frozen=True)
class EdgeConsensus:
    """In what share of each configuration's traces an edge is, and whether that is enough for it to hold there."""

    presence: Float64[np.ndarray, "edge configuration"]
    holds: Bool[np.ndarray, "edge configuration"]

    @property
    def is_core(self) -> Bool[np.ndarray, " edge"]:
        """Returns which edges hold under every configuration."""
        return np.asarray(self.holds.all(axis=1))

    @property
    def is_contingent(self) -> Bool[np.ndarray, " edge"]:
        """Returns which edges hold under some configurations, and not under all."""
        return np.asarray(self.holds.any(axis=1) & ~self.holds.all(axis=1))

    @property
    def kept(self) -> Float64[np.ndarray, " edge"]:
        """Returns s averaged over all prompts: with one trace of each per configuration, the mean presence."""
        return np.asarray(self.presence.mean(axis=1))


@dataclass(frozen=True)
class PromptConsensus:
    """What single prompts say of an edge; nan where no prompt keeps it under any configuration.

    `prompts` counts those that keep it under one configuration or more, `agreement` is the mean of s over these, and
    `in_all` the share of them that keep it under every configuration.
    """

    prompts: Int64[np.ndarray, " edge"]
    agreement: Float64[np.ndarray, " edge"]
    in_all: Float64[np.ndarray, " edge"]


def edge_consensus(
    counts: Int64[np.ndarray, "edge configuration"],
    traces: Int64[np.ndarray, " configuration"],
    least: Int64[np.ndarray, " configuration"],
) -> EdgeConsensus:
    """Returns the consensus over counts of traces with each edge; an edge holds from `least` traces on."""
    return EdgeConsensus(presence=counts / np.maximum(1, traces), holds=counts >= least)


def prompt_consensus(keeps: Bool[np.ndarray, "configuration prompt edge"]) -> PromptConsensus:
    """Returns how far configurations agree on an edge prompt by prompt."""
    share = keeps.mean(axis=0)
    prompts = (share > 0).sum(axis=0)
    of_any = np.where(prompts > 0, prompts, np.nan)
    return PromptConsensus(
        prompts=prompts.astype(np.int64),
        agreement=share.sum(axis=0) / of_any,
        in_all=keeps.all(axis=0).sum(axis=0) / of_any,
    )
