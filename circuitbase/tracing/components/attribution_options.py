"""What a user may ask of contrastive attribution. The library and the command line share these defaults."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from circuitbase.errors import InputError

Method = Literal["eap", "eap-ig-inputs", "eap-ig-activations", "clean-corrupted", "information-flow", "exact"]
METHOD_NAMES: tuple[Method, ...] = get_args(Method)
Rule = Literal["left", "right", "midpoint", "gauss"]
RULE_NAMES: tuple[Rule, ...] = get_args(Rule)
AblationName = Literal["patching", "zero", "mean", "positional-mean"]
ABLATION_NAMES: tuple[AblationName, ...] = get_args(AblationName)
MetricName = Literal["logit-difference", "probability-difference", "kl"]
METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)

MetricFunction = Callable[..., Any]  # (logits, clean_logits, pairs) -> [batch]; see `metrics`


@dataclass(frozen=True)
class Uses:
    """What of the options a method uses, with its own defaults; None: nothing."""

    steps: int | None = None
    rule: Rule | None = None
    ablations: tuple[AblationName, ...] = ABLATION_NAMES
    metric: bool = True


USES: dict[Method, Uses] = {
    "eap": Uses(),
    "eap-ig-inputs": Uses(steps=20, rule="gauss"),
    "eap-ig-activations": Uses(steps=5, rule="right"),
    # its second gradient is that of the corrupted prompt
    "clean-corrupted": Uses(ablations=("patching",)),
    "information-flow": Uses(ablations=(), metric=False),
    "exact": Uses(),
}


@dataclass(frozen=True)
class AttributionOptions:
    """Options that change scores, and how many pairs are run together, which does not.

    What is left None gets the method's default, and stays None where the method has no use for it. `steps` and
    `rule` are of the integral from the ablated (0) to the clean (1); `metric` is a name or a function as `metrics`
    describes. Raises InputError for an option that does nothing for the method.
    """

    method: Method = "eap-ig-inputs"
    steps: int | None = None
    rule: Rule | None = None
    ablation: AblationName | None = None
    metric: MetricName | MetricFunction | None = None
    batch_size: int = 8

    def __post_init__(self) -> None:
        if self.method not in METHOD_NAMES:
            raise InputError(f"the method must be one of {', '.join(METHOD_NAMES)}, got {self.method}")
        uses = USES[self.method]
        problems = [*self._out_of_range(), *self._without_use(uses)]
        if problems:
            raise InputError("; ".join(problems))
        defaults: dict[str, Any] = {
            "steps": uses.steps,
            "rule": uses.rule,
            "ablation": uses.ablations[0] if uses.ablations else None,
            "metric": METRIC_NAMES[0] if uses.metric else None,
        }
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.metric == "kl" and self.method == "eap":
            raise InputError(
                "the divergence from the clean run is flat at the clean run, so eap would give every edge 0; "
                "take eap-ig-inputs, eap-ig-activations, clean-corrupted or exact"
            )

    def _out_of_range(self) -> list[str]:
        found = []
        if self.steps is not None and self.steps < 1:
            found.append(f"steps must be at least 1, got {self.steps}")
        if self.batch_size < 1:
            found.append(f"batch_size must be at least 1, got {self.batch_size}")
        for name, value, allowed in (("rule", self.rule, RULE_NAMES), ("ablation", self.ablation, ABLATION_NAMES)):
            if value is not None and value not in allowed:
                found.append(f"{name} must be one of {', '.join(allowed)}, got {value}")
        if self.metric is not None and not callable(self.metric) and self.metric not in METRIC_NAMES:
            found.append(f"metric must be one of {', '.join(METRIC_NAMES)} or a function, got {self.metric}")
        return found

    def _without_use(self, uses: Uses) -> list[str]:
        given = {
            "steps": self.steps is not None and uses.steps is None,
            "rule": self.rule is not None and uses.rule is None,
            "metric": self.metric is not None and not uses.metric,
        }
        found = [f"{name} does nothing for {self.method}; leave it out" for name, useless in given.items() if useless]
        if self.ablation in ABLATION_NAMES and self.ablation not in uses.ablations:
            if uses.ablations:
                found.append(f"{self.method} compares with the corrupted prompt, so its ablation is patching; leave it")
            else:
                found.append(f"{self.method} ablates nothing, so an ablation does nothing for it; leave it out")
        return found
