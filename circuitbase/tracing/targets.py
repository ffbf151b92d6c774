"""What a trace may be asked to end in."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuitbase.errors import InputError
from circuitbase.graph.trace import ModelIdentity
from circuitbase.schema.identity import layer_label


@dataclass(frozen=True)
class RoleTarget:
    """An output by role: the logit of token `token` minus that of `minus` (None: minus the mean logit)."""

    role: str
    token: int
    minus: int | None = None

    @property
    def name(self) -> str:
        """Returns what the configuration calls it."""
        return self.role

    @property
    def identity(self) -> tuple[Any, ...]:
        """Returns what of it enters the trace's id."""
        return (self.token, self.minus)

    def problems(self, model: ModelIdentity) -> list[str]:
        """Returns what keeps it from being traced."""
        tokens = (self.token, *([] if self.minus is None else [self.minus]))
        found = [
            f"the token of role {self.role} must be 0 to {model.d_vocab - 1}, got {token}"
            for token in tokens
            if not 0 <= token < model.d_vocab
        ]
        if self.token == self.minus:
            found.append(f"the role {self.role} must compare two tokens, got {self.token} twice")
        return found


@dataclass(frozen=True)
class TokenTarget:
    """The logit of a token minus the mean logit."""

    token: int

    @property
    def name(self) -> None:
        """Returns None: the token is the prompt's, not the configuration's."""
        return

    @property
    def identity(self) -> tuple[Any, ...]:
        """Returns what of it enters the trace's id."""
        return (self.token, None)

    def problems(self, model: ModelIdentity) -> list[str]:
        """Returns what keeps it from being traced."""
        if 0 <= self.token < model.d_vocab:
            return []
        return [f"a target token must be 0 to {model.d_vocab - 1}, got {self.token}"]


@dataclass(frozen=True)
class FeatureTarget:
    """The pre-activation of a feature at a position, whether it fires there or not."""

    layer: int
    feature: int
    position: int

    @property
    def name(self) -> str:
        """Returns what the configuration calls it."""
        return f"{layer_label(self.layer)}/F{self.feature:05d}"

    @property
    def identity(self) -> tuple[Any, ...]:
        """Returns what of it enters the trace's id."""
        return ("feature", self.layer, self.feature, self.position)

    def problems(self, model: ModelIdentity) -> list[str]:
        """Returns what keeps it from being traced, as far as no dictionary is needed to say it."""
        if 0 <= self.layer < model.n_layers:
            return []
        return [f"the layer of a target feature must be 0 to {model.n_layers - 1}, got {self.layer}"]


@dataclass(frozen=True)
class DirectionTarget:
    """The residual stream before block `layer` (n_layers: after the last) at a position, along a vector [d_model]."""

    label: str
    layer: int
    position: int
    vector: tuple[float, ...]

    @property
    def digest(self) -> str:
        """Returns a SHA-256, in hex, of where and along what it reads."""
        numbers = np.asarray([self.layer, *self.vector], dtype="<f8")
        return hashlib.sha256(numbers.tobytes()).hexdigest()

    @property
    def name(self) -> str:
        """Returns what the configuration calls it."""
        return f"{self.label}@{self.digest[:8]}"

    @property
    def identity(self) -> tuple[Any, ...]:
        """Returns what of it enters the trace's id."""
        return ("direction", self.digest, self.position)

    def problems(self, model: ModelIdentity) -> list[str]:
        """Returns what keeps it from being traced."""
        found = []
        if not 0 <= self.layer <= model.n_layers:
            found.append(f"the layer of direction {self.label} must be 0 to {model.n_layers}, got {self.layer}")
        if len(self.vector) != model.d_model:
            found.append(f"direction {self.label} must have {model.d_model} numbers, got {len(self.vector)}")
        if not np.isfinite(self.vector).all() or not np.any(self.vector):
            found.append(f"direction {self.label} must be finite and not zero, and is not")
        return found


AskedTarget = RoleTarget | TokenTarget | FeatureTarget | DirectionTarget

# the word of TraceOptions.target -> what must be given with it
KINDS: dict[str, type] = {
    "roles": RoleTarget,
    "tokens": TokenTarget,
    "features": FeatureTarget,
    "directions": DirectionTarget,
}
REMEDY = {
    "roles": "the target `roles` needs an answer, and the prompt has none; give one, or ask for `probable`",
    "tokens": "the target `tokens` needs at least one token; name one, or ask for `probable`",
    "features": "the target `features` needs at least one feature at a position; name one, or ask for `probable`",
    "directions": "the target `directions` needs at least one vector; give one, or ask for `probable`",
}


def check_targets(targets: tuple[AskedTarget, ...], *, kind: str, model: ModelIdentity) -> None:
    """Raises InputError if the targets are not of the kind asked for, missing, repeated or out of range."""
    if kind == "probable":
        return
    if not targets:
        raise InputError(REMEDY[kind])
    if any(not isinstance(target, KINDS[kind]) for target in targets):
        raise InputError(f"the target `{kind}` takes targets of that kind alone, and others were given; leave them out")
    names = [
        str(target.name) if kind == "roles" else "/".join(str(part) for part in target.identity if part is not None)
        for target in targets
    ]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        what = "role" if kind == "roles" else "target"
        raise InputError(f"each {what} must be given once, got {repeated[0]} twice")
    problems = [problem for target in targets for problem in target.problems(model)]
    if problems:
        raise InputError("; ".join(problems))


def target_request(
    kind: str, targets: tuple[AskedTarget, ...], *, max_outputs: int, output_probability: float
) -> dict[str, Any]:
    """Returns the target request that enters a configuration's id: nothing of one prompt in it."""
    if kind == "probable":
        return {"kind": kind, "max_outputs": max_outputs, "output_probability": output_probability}
    names = [target.name for target in targets if target.name is not None]
    return {"kind": kind, **({kind: names} if names else {})}
