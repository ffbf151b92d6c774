"""What a pair is scored by: a number per prompt, read from the logits at its last unpadded position.

A metric is a function of `logits [batch, token]`, of the clean prompts' `clean_logits [batch, token]` and of the
`pairs` of the batch; it returns one number per pair, [batch], each from its own row alone. More is more of the
clean behaviour, so that a score `m(clean) − m(patched)` is positive where an edge supports it. A function of a
user's own has the same form.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import MetricFunction, MetricName
from circuitbase.tracing.components.pairs import Pair, check_answers


def logit_difference(
    logits: Float[Tensor, "batch token"], clean_logits: Float[Tensor, "batch token"], pairs: Sequence[Pair]
) -> Float[Tensor, " batch"]:
    """Returns the mean logit of the correct tokens minus that of the wrong ones."""
    return torch.stack(
        [row[list(pair.correct)].mean() - row[list(pair.wrong)].mean() for row, pair in zip(logits, pairs, strict=True)]
    )


def probability_difference(
    logits: Float[Tensor, "batch token"], clean_logits: Float[Tensor, "batch token"], pairs: Sequence[Pair]
) -> Float[Tensor, " batch"]:
    """Returns the summed probability of the correct tokens minus that of the wrong ones."""
    return torch.stack(
        [
            row[list(pair.correct)].sum() - row[list(pair.wrong)].sum()
            for row, pair in zip(torch.softmax(logits, dim=-1), pairs, strict=True)
        ]
    )


def negative_divergence(
    logits: Float[Tensor, "batch token"], clean_logits: Float[Tensor, "batch token"], pairs: Sequence[Pair]
) -> Float[Tensor, " batch"]:
    """Returns minus the Kullback-Leibler divergence from the clean run, in nats over all tokens: 0 at that run."""
    clean = torch.log_softmax(clean_logits, dim=-1)
    return (clean.exp() * (torch.log_softmax(logits, dim=-1) - clean)).sum(-1)


METRICS: dict[MetricName, Callable[..., Tensor]] = {
    "logit-difference": logit_difference,
    "probability-difference": probability_difference,
    "kl": negative_divergence,
}


def metric_for(metric: MetricName | MetricFunction, pairs: Sequence[Pair]) -> MetricFunction:
    """Returns a metric by its name (or a function as it is); raises InputError if pairs lack what it compares."""
    if callable(metric):
        return metric
    if metric != "kl":
        check_answers(pairs, metric=metric)
    return METRICS[metric]


def measured(
    metric: MetricFunction,
    logits: Float[Tensor, "batch token"],
    *,
    clean_logits: Float[Tensor, "batch token"],
    pairs: Sequence[Pair],
) -> Float[Tensor, " batch"]:
    """Returns a metric's numbers; raises InputError unless there is a finite one per pair."""
    name = getattr(metric, "__name__", str(metric))
    try:
        found = metric(logits, clean_logits, pairs)
    except Exception as error:  # whatever a user's function raises
        raise InputError(f"the metric {name} failed ({type(error).__name__}: {error}); correct it") from error
    if not isinstance(found, Tensor) or found.shape != (len(pairs),):
        what = f"a tensor of shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"the metric {name} must return one number per pair, [{len(pairs)}], got {what}")
    if not torch.isfinite(found).all():
        raise InputError(f"the metric {name} must be finite on every pair, and is not; take another metric")
    return found
