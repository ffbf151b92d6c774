"""What a scrubbed model recovers of the metric and of the loss."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import MetricFunction
from circuitbase.tracing.components.metrics import measured
from circuitbase.tracing.components.pairs import check_answers
from circuitbase.tracing.patching.hypothesis import Hypothesis
from circuitbase.tracing.patching.scrubbing import ScrubbingData, agreeing, scrubbed_logits


@dataclass(frozen=True)
class Recovered:
    """A number of the model, under the hypothesis and of random prompts: means over prompts and samples.

    `share` is (scrubbed − random) / (model − random): 1 where the hypothesis loses nothing, 0 where it is worth
    no more than the output on a random prompt; None where model and random are equal. `error` is the standard
    error of the scrubbed mean over prompts.
    """

    what: str
    model: float
    scrubbed: float
    random: float
    error: float

    @property
    def share(self) -> float | None:
        """Returns the share that is recovered."""
        between = self.model - self.random
        return (self.scrubbed - self.random) / between if between else None


@dataclass(frozen=True)
class Alternatives:
    """How many prompts can stand for each other at a node, mean over prompts; 1: resampling changes nothing there."""

    node: str
    matters: tuple[int | str, ...]
    prompts: float


@dataclass(frozen=True)
class Scrubbed:
    """What a hypothesis recovers of the metric and of the loss, and how much was really resampled."""

    recovered: tuple[Recovered, ...]
    alternatives: tuple[Alternatives, ...]


@torch.no_grad()
def scrub(
    data: ScrubbingData,
    hypothesis: Hypothesis,
    *,
    metric: MetricFunction,
    metric_name: str,
    samples: int = 16,
    seed: int = 0,
) -> Scrubbed:
    """Returns what is recovered of a metric and of the loss, −log of the correct tokens' probability.

    Every prompt is the reference `samples` times. Random is the output on a random prompt, judged by the answers of
    the reference. Raises InputError for pairs without correct tokens.
    """
    check_answers(data.pairs, metric="scrubbing")
    if samples < 1:
        raise InputError(f"scrubbing needs at least one sample, got {samples}")
    generator = torch.Generator().manual_seed(seed)
    n = len(data.pairs)
    reference = torch.arange(n, device=data.writes.logits.device).repeat(samples)
    logits = {
        "model": data.writes.logits[reference],
        "scrubbed": scrubbed_logits(data, hypothesis, reference, generator=generator),
        "random": data.writes.logits[torch.randint(n, (len(reference),), generator=generator).to(reference.device)],
    }
    metrics = {
        name: measured(
            metric,
            found,
            clean_logits=data.writes.logits[reference],
            pairs=[data.pairs[number] for number in reference.tolist()],
        )
        for name, found in logits.items()
    }
    losses = {name: _loss(data, found, reference) for name, found in logits.items()}
    alternatives = tuple(
        Alternatives(node.node, node.matters, float(_group_sizes(agreeing(data, hypothesis, node)).mean()))
        for node in hypothesis.output.nodes[1:]
    )
    return Scrubbed((_recovered(metric_name, metrics, n=n), _recovered("loss", losses, n=n)), alternatives)


def _recovered(what: str, found: dict[str, Float[Tensor, " row"]], *, n: int) -> Recovered:
    means = {name: float(values.double().mean()) for name, values in found.items()}
    by_prompt = found["scrubbed"].double().unflatten(0, (-1, n)).mean(0)
    return Recovered(what, means["model"], means["scrubbed"], means["random"], float(by_prompt.std() / n**0.5))


def _loss(
    data: ScrubbingData, logits: Float[Tensor, "row token"], reference: Int[Tensor, " row"]
) -> Float[Tensor, " row"]:
    found = torch.log_softmax(logits, dim=-1)
    return -torch.stack(
        [
            torch.logsumexp(row[list(data.pairs[number].correct)], dim=0)
            for row, number in zip(found, reference.tolist(), strict=True)
        ]
    )


def _group_sizes(groups: Int[Tensor, " prompt"]) -> Float64[Tensor, " prompt"]:
    return torch.bincount(groups)[groups].double()
