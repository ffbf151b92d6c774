"""What a component trace ends in: logits behind every soft cap and norm, or directions, with their gradients."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.graph.trace import Target
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.propagation import End
from circuitbase.tracing.components.seen import SeenPrompt
from circuitbase.tracing.outputs import OutputNode, checked_position, most_probable
from circuitbase.tracing.targets import AskedTarget, DirectionTarget, FeatureTarget, RoleTarget, TokenTarget


def component_outputs(
    model: ComponentModel,
    seen: SeenPrompt,
    *,
    options: ComponentOptions,
    targets: tuple[AskedTarget, ...],
    token_string: Callable[[int], str],
) -> list[tuple[OutputNode, End]]:
    """Returns the outputs that are asked for, or the most probable tokens, each with where its gradient enters.

    A token's output is its logit less the mean logit, a role's less another token's, both behind any soft cap.
    """
    probabilities = torch.softmax(seen.logits.double(), dim=-1).cpu().numpy()
    asked: Sequence[AskedTarget] = targets
    if options.target == "probable":
        tokens = most_probable(probabilities, count=options.max_outputs, mass=options.output_probability)
        asked = [TokenTarget(int(token)) for token in tokens]
    found = []
    for place, target in enumerate(asked):
        assert not isinstance(target, FeatureTarget)  # refused where the options were checked
        if isinstance(target, DirectionTarget):
            found.append(_direction(model, seen, target, place=place))
            continue
        probability = float(probabilities[target.token])
        weight = probability if options.target == "probable" else 1.0
        found.append(
            _logit(model, seen, target, place=place, weight=weight, probability=probability, token_string=token_string)
        )
    return found


def _logit(
    model: ComponentModel,
    seen: SeenPrompt,
    target: RoleTarget | TokenTarget,
    *,
    place: int,
    weight: float,
    probability: float,
    token_string: Callable[[int], str],
) -> tuple[OutputNode, End]:
    minus = target.minus if isinstance(target, RoleTarget) else None
    role = target.role if isinstance(target, RoleTarget) else None
    position = len(seen.final) - 1

    def read(x: Tensor) -> Tensor:
        logits = model.logits(x)
        return logits[target.token] - (logits.mean() if minus is None else logits[minus])

    described = Target(
        kind="token" if role is None else "role",
        weight=weight,
        position=position,
        token=target.token,
        token_string=token_string(target.token),
        minus=minus,
        minus_string=None if minus is None else token_string(minus),
        role=role,
        probability=probability,
    )
    return _output(
        described,
        kind=NodeKind.OUTPUT_TOKEN if role is None else NodeKind.OTHER_OUTPUT,
        unit=target.token if role is None else place,
        activation=probability,
        end=End(model.n_layers, position, _gradient(read, seen.final[position]), weight),
        at_final_norm=True,
    )


def _direction(
    model: ComponentModel, seen: SeenPrompt, target: DirectionTarget, *, place: int
) -> tuple[OutputNode, End]:
    position = checked_position(target, n_positions=len(seen.final))
    x = seen.final if target.layer == model.n_layers else seen.layers[target.layer].before
    vector = torch.tensor(target.vector, dtype=x.dtype, device=x.device)
    described = Target(
        kind="direction", weight=1.0, position=position, layer=target.layer, name=target.label, digest=target.digest
    )
    return _output(
        described,
        kind=NodeKind.OTHER_OUTPUT,
        unit=place,
        activation=float(vector @ x[position]),
        end=End(target.layer, position, vector, 1.0),
        at_final_norm=False,
    )


def _output(
    target: Target, *, kind: NodeKind, unit: int, activation: float, end: End, at_final_norm: bool
) -> tuple[OutputNode, End]:
    return (
        OutputNode(
            kind=kind,
            target=target,
            unit=unit,
            layer=end.layer,
            position=end.position,
            weight=end.weight,
            activation=activation,
            at_final_norm=at_final_norm,
            read=end.gradient,
            preactivation=0.0,
            constant=0.0,
        ),
        end,
    )


def _gradient(read: Callable[[Tensor], Tensor], x: Float[Tensor, " d_model"]) -> Float[Tensor, " d_model"]:
    found: Tensor = torch.func.grad(read)(x)
    return found
