"""What a user may ask of the benchmark. Imports no torch."""

from dataclasses import dataclass

from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import (
    ABLATION_NAMES,
    METHOD_NAMES,
    METRIC_NAMES,
    USES,
    AblationName,
    MetricName,
)

BASELINES = ("activation-size", "random")
SCORERS: tuple[str, ...] = (*METHOD_NAMES, *BASELINES)
"""Every method of contrastive attribution there is, and the baselines."""
PROGRAM_NAMES = ("frac-prevs", "reverse", "compiled-induction", "two-hop", "indirect-object")
ONE_TEMPLATE = "indirect-object-aba"
"""The indirect-object program on pairs of one template: what a mean over clean prompts cannot see."""
HAND_SET_NAMES = ("or-gate", "or-gate-denoising", "and-gate", "and-gate-denoising", "linear")
TOY_NAMES = ("induction", "redundancy", "greater-than", "modular-addition")
GROUND_TRUTH_NAMES = (*PROGRAM_NAMES, ONE_TEMPLATE, *HAND_SET_NAMES, *TOY_NAMES)


@dataclass(frozen=True)
class BenchmarkOptions:
    """Which methods are run on which ground truths, and how; nothing named is everything."""

    methods: tuple[str, ...] = SCORERS
    ground_truths: tuple[str, ...] = GROUND_TRUTH_NAMES
    ablations: tuple[AblationName, ...] = ("patching",)
    metrics: tuple[MetricName, ...] = ("logit-difference",)
    steps: int | None = None
    """Steps of the methods that integrate; None for each method's own."""
    seed: int = 0
    """Of the pairs and of the random baseline."""

    def __post_init__(self) -> None:
        for what, given, allowed in (
            ("method", self.methods, SCORERS),
            ("ground truth", self.ground_truths, GROUND_TRUTH_NAMES),
            ("ablation", self.ablations, ABLATION_NAMES),
            ("metric", self.metrics, METRIC_NAMES),
        ):
            unknown = [name for name in given if name not in allowed]
            if unknown or not given:
                got = ", ".join(unknown) or "none"
                raise InputError(f"each {what} of a benchmark must be one of {', '.join(allowed)}, got {got}")
        if self.steps is not None and self.steps < 1:
            raise InputError(f"steps must be at least 1, got {self.steps}")
        if not self.runs():
            raise InputError("none of these methods takes these ablations and metrics; name others")

    def runs(self) -> list[tuple[str, AblationName, MetricName]]:
        """Returns the combinations of method, ablation and metric that mean something.

        clean-corrupted compares with the corrupted prompt and so takes patching alone, and the divergence from the
        clean run has no gradient there for eap. Methods without an ablation or metric of their own are run once
        for each, by which their circuits are then judged.
        """
        return [
            (method, ablation, metric)
            for ablation in self.ablations
            for metric in self.metrics
            for method in self.methods
            if method not in USES or ablation in (USES[method].ablations or ABLATION_NAMES)
            if (method, metric) != ("eap", "kl")
        ]
