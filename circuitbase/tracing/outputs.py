"""Which outputs a trace explains, where each is read, and what the model answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from circuitbase.errors import InputError
from circuitbase.graph.trace import Facts, Target
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.frozen_norm import frozen_norm
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.options import RoleTarget, TraceOptions
from circuitbase.tracing.precision import HALF
from circuitbase.tracing.run import PromptRun
from circuitbase.tracing.targets import AskedTarget, DirectionTarget, FeatureTarget, TokenTarget


@dataclass(frozen=True)
class OutputNode:
    """One node that a trace ends in; `unit` is its token, feature, or place among the metadata's targets.

    `layer` is the layer of a feature, or the block before which the residual stream is read (n_layers:
    after the last); `at_final_norm` says whether the final norm lies between. `read` is None for a
    feature, whose dictionary has it. `preactivation` is what is read there, `constant` the part of it that is
    an unembedding bias.
    """

    kind: NodeKind
    target: Target
    unit: int
    layer: int
    position: int
    weight: float
    activation: float
    at_final_norm: bool
    read: Float[Tensor, " d_model"] | None
    preactivation: float
    constant: float


def chosen_outputs(
    model: TracedModel, run: PromptRun, *, options: TraceOptions, targets: tuple[AskedTarget, ...]
) -> list[OutputNode]:
    """Returns the outputs that are asked for, or the most probable tokens; in the order of the metadata.

    Raises InputError for a target at a position that the prompt does not have.
    """
    probabilities = torch.softmax(run.logits.double(), dim=-1).cpu().numpy()
    asked: Sequence[AskedTarget] = targets
    if options.target == "probable":
        tokens = most_probable(probabilities, count=options.max_outputs, mass=options.output_probability)
        asked = [TokenTarget(int(token)) for token in tokens]
    outputs = []
    for place, target in enumerate(asked):
        match target:
            case RoleTarget() | TokenTarget():
                weight = float(probabilities[target.token]) if options.target == "probable" else 1.0
                outputs.append(_logit(model, run, target, probabilities, place=place, weight=weight))
            case DirectionTarget():
                outputs.append(_direction(run, target, place=place))
            case FeatureTarget():
                outputs.append(_feature(run, target))
    return outputs


def most_probable(
    probabilities: Float64[np.ndarray, " token"], *, count: int, mass: float
) -> Int64[np.ndarray, " output"]:
    """Returns the fewest most probable tokens that cover `mass`, at most `count`; ties go to the lower id."""
    count = min(count, len(probabilities))
    least = np.partition(probabilities, -count)[-count]
    candidates = np.flatnonzero(probabilities >= least)
    ranked = candidates[np.argsort(-probabilities[candidates], kind="stable")][:count]
    covered = np.cumsum(probabilities[ranked])
    return ranked[: int(np.searchsorted(covered, mass, side="left")) + 1]


def facts(model: TracedModel, logits: Float[Tensor, " token"], *, roles: tuple[RoleTarget, ...]) -> Facts:
    """Returns what the model did; the answer is that of the first role."""
    probabilities = torch.softmax(logits.double(), dim=-1)
    top = int(probabilities.argmax())
    found = Facts(
        top_token=top,
        top_token_string=model.tokenizer.token_string(top),
        top_probability=float(probabilities[top]),
    )
    if not roles:
        return found
    answer, distractor = roles[0].token, roles[0].minus
    return Facts(
        top_token=found.top_token,
        top_token_string=found.top_token_string,
        top_probability=found.top_probability,
        answer_rank=1 + int((logits > logits[answer]).sum()),
        correct=top == answer,
        logit_difference=None if distractor is None else float(logits[answer].double() - logits[distractor].double()),
    )


def _logit(
    model: TracedModel,
    run: PromptRun,
    target: RoleTarget | TokenTarget,
    probabilities: Float64[np.ndarray, " token"],
    *,
    place: int,
    weight: float,
) -> OutputNode:
    """Returns the output for a logit before any soft cap, less the mean logit or less another."""
    minus = target.minus if isinstance(target, RoleTarget) else None
    mean = mean_logit(model, like=run.final)
    read = model.parts.W_U[target.token].to(run.final) - (
        mean.read if minus is None else model.parts.W_U[minus].to(run.final)
    )
    b_U = model.parts.b_U
    bias = 0.0 if b_U is None else float(b_U[target.token]) - (mean.bias if minus is None else float(b_U[minus]))
    last = run.final_norm_output[-1]
    if model.dtype in HALF:  # as the frozen norm has it, not as the model rounded it
        norm = frozen_norm(model.parts.final_norm, run.final)
        last = norm.applied(run.final[-1:], torch.tensor([len(run.final) - 1], device=run.final.device))[0]
        last = last if norm.bias is None else last + norm.bias
    role = target.role if isinstance(target, RoleTarget) else None
    text = model.tokenizer.token_string
    probability = float(probabilities[target.token])
    return OutputNode(
        kind=NodeKind.OUTPUT_TOKEN if role is None else NodeKind.OTHER_OUTPUT,
        target=Target(
            kind="token" if role is None else "role",
            weight=weight,
            position=len(run.final) - 1,
            token=target.token,
            token_string=text(target.token),
            minus=minus,
            minus_string=None if minus is None else text(minus),
            role=role,
            probability=probability,
        ),
        unit=target.token if role is None else place,
        layer=len(run.layers),
        position=len(run.final) - 1,
        weight=weight,
        activation=probability,
        at_final_norm=True,
        read=read,
        preactivation=float(read @ last) + bias,
        constant=bias,
    )


def _direction(run: PromptRun, target: DirectionTarget, *, place: int) -> OutputNode:
    position = checked_position(target, n_positions=len(run.final))
    x = run.final if target.layer == len(run.layers) else run.layers[target.layer].input
    vector = torch.tensor(target.vector, dtype=x.dtype, device=x.device)
    found = float(vector @ x[position])
    return OutputNode(
        kind=NodeKind.OTHER_OUTPUT,
        target=Target(
            kind="direction",
            weight=1.0,
            position=position,
            layer=target.layer,
            name=target.label,
            digest=target.digest,
        ),
        unit=place,
        layer=target.layer,
        position=position,
        weight=1.0,
        activation=found,
        at_final_norm=False,
        read=vector,
        preactivation=found,
        constant=0.0,
    )


def _feature(run: PromptRun, target: FeatureTarget) -> OutputNode:
    position = checked_position(target, n_positions=len(run.final))
    return OutputNode(
        kind=NodeKind.FEATURE,
        target=Target(kind="feature", weight=1.0, position=position, layer=target.layer, feature=target.feature),
        unit=target.feature,
        layer=target.layer,
        position=position,
        weight=1.0,
        activation=0.0,
        at_final_norm=False,
        read=None,
        preactivation=0.0,
        constant=0.0,
    )


def checked_position(target: DirectionTarget | FeatureTarget, *, n_positions: int) -> int:
    """Returns where a target is read; raises InputError if the prompt is not that long."""
    if 0 <= target.position < n_positions:
        return target.position
    what = f"direction {target.label}" if isinstance(target, DirectionTarget) else f"feature {target.name}"
    raise InputError(f"the position of {what} must be 0 to {n_positions - 1} on this prompt, got {target.position}")


@dataclass(frozen=True)
class MeanLogit:
    """The mean over the vocabulary of the rows that read logits, and of their biases."""

    read: Float[Tensor, " d_model"]
    bias: float


def mean_logit(model: TracedModel, *, like: Float[Tensor, "position d_model"]) -> MeanLogit:
    """Returns what the mean logit reads, computed once per model, in the dtype of `like`."""
    if model.module not in _MEANS:
        b_U = model.parts.b_U
        read = model.parts.W_U.mean(0, dtype=like.dtype).to(like)
        _MEANS[model.module] = MeanLogit(read, 0.0 if b_U is None else float(b_U.double().mean()))
    return _MEANS[model.module]


_MEANS: WeakKeyDictionary[nn.Module, MeanLogit] = WeakKeyDictionary()
