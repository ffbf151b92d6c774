"""Which mechanisms each trace has and how strongly, drawn with effects that the traces of one cluster share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from circuitbase.evaluation.planted_mechanisms import Mechanism

NONE = -1


@dataclass(frozen=True)
class Sampling:
    """How traces are drawn from the seed.

    `cluster_effect` is the correlation of presences within a cluster (0: prompts are independent), and how far a
    cluster's mean shares are from those of all. `spread` is how far a trace's are from its cluster's. Labels go in
    turns: cluster by cluster, or within clusters from trace to trace.
    """

    seed: int = 0
    per_cluster: int = 1
    cluster_effect: float = 0.0
    spread: float = 0.2
    labels_within_clusters: bool = False

    def label(self, number: int) -> int:
        """Returns 0 for traces of label A, 1 for those of label B."""
        return (number if self.labels_within_clusters else number // self.per_cluster) % 2


@dataclass(frozen=True)
class DrawnMechanism:
    """The form that a mechanism takes in one trace, `NONE` if it is not there, with the shares of its links."""

    form: int
    shares: tuple[float, ...]


@dataclass(frozen=True)
class DrawnTrace:
    """What was drawn for one trace, before there is any graph; one entry for each mechanism."""

    number: int
    cluster: int
    label: int
    mechanisms: tuple[DrawnMechanism, ...]


@dataclass(frozen=True)
class _ClusterEffect:
    """The probabilities of the forms [label, form or none] and factors of the shares [form, link] of a mechanism."""

    probabilities: np.ndarray
    factors: tuple[np.ndarray, ...]


def draws(mechanisms: Sequence[Mechanism], sampling: Sampling, *, traces: int, first: int = 0) -> Iterator[DrawnTrace]:
    """Yields what is drawn for each trace; a trace's number alone decides, not which are drawn before it."""
    cluster, effects = NONE, tuple[_ClusterEffect, ...]()
    for number in range(first, first + traces):
        if number // sampling.per_cluster != cluster:
            cluster = number // sampling.per_cluster
            random = np.random.default_rng([sampling.seed, 0, cluster])
            effects = tuple(_cluster_effect(mechanism, sampling, random) for mechanism in mechanisms)
        random = np.random.default_rng([sampling.seed, 1, number])
        label = sampling.label(number)
        found = tuple(
            _drawn(mechanism, effect, label, sampling, random)
            for mechanism, effect in zip(mechanisms, effects, strict=True)
        )
        yield DrawnTrace(number, cluster, label, found)


def correlated(
    mean: Float64[np.ndarray, "*axis"], correlation: float, random: np.random.Generator
) -> Float64[np.ndarray, "*axis"]:
    """Returns probabilities of one cluster around their means, so that firings within it correlate so much."""
    if correlation == 0:
        return mean
    precision = 1 / correlation - 1
    return random.beta(np.maximum(mean * precision, 1e-9), np.maximum((1 - mean) * precision, 1e-9))


def _cluster_effect(mechanism: Mechanism, sampling: Sampling, random: np.random.Generator) -> _ClusterEffect:
    means = np.array([form.probability for form in mechanism.forms]).T
    means = np.column_stack([means, 1 - means.sum(axis=1)]).clip(0.0, 1.0)
    probabilities = means
    if sampling.cluster_effect > 0:
        precision = 1 / sampling.cluster_effect - 1
        state = random.bit_generator.state
        drawn = []
        for mean in means:
            random.bit_generator.state = state  # labels that do not differ share their effect
            gamma = random.gamma(np.maximum(mean * precision, 1e-9))
            drawn.append(gamma / gamma.sum())
        probabilities = np.stack(drawn)
    factors = tuple(1 + sampling.cluster_effect * random.uniform(-1, 1, len(form.links)) for form in mechanism.forms)
    return _ClusterEffect(probabilities, factors)


def _drawn(
    mechanism: Mechanism, effect: _ClusterEffect, label: int, sampling: Sampling, random: np.random.Generator
) -> DrawnMechanism:
    form = int(np.searchsorted(effect.probabilities[label].cumsum(), random.random(), side="right"))
    if form >= len(mechanism.forms):
        return DrawnMechanism(NONE, ())
    noise = 1 + sampling.spread * random.uniform(-1, 1, len(effect.factors[form]))
    means = np.array([link.share[label] for link in mechanism.forms[form].links])
    return DrawnMechanism(form, tuple((means * effect.factors[form] * noise).tolist()))
