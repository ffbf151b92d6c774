"""Which logits a trace explains, and what the model answered."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from circuitbase.graph.trace import Facts, Target
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.options import RoleTarget, TraceOptions


@dataclass(frozen=True)
class Outputs:
    """The output nodes of a trace, in node order; `targets` is in the order of the metadata.

    `read` is read at the final norm's output at the last position; `preactivation` is the logit minus
    the mean logit, or minus another logit; `constant` is the part of it that is an unembedding bias.
    """

    kind: NodeKind
    targets: tuple[Target, ...]
    unit: Int64[np.ndarray, " output"]
    probability: Float64[np.ndarray, " output"]
    weight: Float64[np.ndarray, " output"]
    read: Float[Tensor, "output d_model"]
    preactivation: Float[Tensor, " output"]
    constant: Float[Tensor, " output"]


def chosen_outputs(
    model: TracedModel, logits: Float[Tensor, " token"], *, options: TraceOptions, roles: tuple[RoleTarget, ...]
) -> Outputs:
    """Returns the role outputs if those are asked for, else the most probable tokens."""
    probabilities = torch.softmax(logits.double(), dim=-1).cpu().numpy()
    if options.target == "roles":
        targets = tuple(_role_target(model, role, probabilities) for role in roles)
        kind, order = NodeKind.OTHER_OUTPUT, list(range(len(targets)))
        unit = np.arange(len(targets))
    else:
        tokens = most_probable(probabilities, count=options.max_outputs, mass=options.output_probability)
        targets = tuple(_token_target(model, int(token), probabilities) for token in tokens)
        kind, order = NodeKind.OUTPUT_TOKEN, np.argsort(tokens).tolist()
        unit = np.sort(tokens)
    ordered = [targets[index] for index in order]
    return Outputs(
        kind=kind,
        targets=targets,
        unit=unit.astype(np.int64),
        probability=np.array([target.probability for target in ordered]),
        weight=np.array([target.weight for target in ordered]),
        read=_contrasts(model.parts.W_U, ordered),
        preactivation=_contrasts(logits[:, None], ordered)[:, 0],
        constant=(
            torch.zeros_like(logits[: len(ordered)])
            if model.parts.b_U is None
            else _contrasts(model.parts.b_U[:, None], ordered)[:, 0]
        ),
    )


def most_probable(
    probabilities: Float64[np.ndarray, " token"], *, count: int, mass: float
) -> Int64[np.ndarray, " output"]:
    """Returns the fewest most probable tokens that cover `mass`, at most `count`; ties go to the lower id."""
    ranked = np.argsort(-probabilities, kind="stable")[:count]
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


def _contrasts(rows: Float[Tensor, "token column"], targets: list[Target]) -> Float[Tensor, "output column"]:
    """Returns each target's row minus the mean row, or minus the row it is compared with."""
    mean = rows.mean(0)
    return torch.stack([rows[each.token] - (mean if each.minus is None else rows[each.minus]) for each in targets])


def _token_target(model: TracedModel, token: int, probabilities: Float64[np.ndarray, " token"]) -> Target:
    probability = float(probabilities[token])
    return Target(
        token=token,
        token_string=model.tokenizer.token_string(token),
        minus=None,
        minus_string=None,
        role=None,
        probability=probability,
        weight=probability,
    )


def _role_target(model: TracedModel, role: RoleTarget, probabilities: Float64[np.ndarray, " token"]) -> Target:
    return Target(
        token=role.token,
        token_string=model.tokenizer.token_string(role.token),
        minus=role.minus,
        minus_string=None if role.minus is None else model.tokenizer.token_string(role.minus),
        role=role.role,
        probability=float(probabilities[role.token]),
        weight=1.0,
    )
