"""What a trace is asked to end in, from the command line."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.trace_options import feature_of
from circuitbase.errors import InputError
from circuitbase.tracing.options import TARGET_KINDS, TargetKind
from circuitbase.tracing.targets import AskedTarget, DirectionTarget, FeatureTarget, RoleTarget, TokenTarget

if TYPE_CHECKING:
    from circuitbase.graph.trace import TracedPrompt
    from circuitbase.tracing.tokenizing import PromptTokenizer

_FLAGS = (
    click.option(
        "--target",
        type=click.Choice(TARGET_KINDS),
        help="Where the trace ends: in the most probable tokens, or in what the options below name. probable if none "
        "is given.",
    ),
    click.option("--answer", metavar="TOKEN", help="End in the logit of this token, the right next one (roles)."),
    click.option(
        "--distractor", metavar="TOKEN", help="Subtract the logit of this token, instead of the mean logit (roles)."
    ),
    click.option(
        "--output",
        "tokens_named",
        multiple=True,
        metavar="TOKEN",
        help="End in the logit of this token. May be repeated (tokens).",
    ),
    click.option(
        "--feature",
        "features",
        multiple=True,
        metavar="LAYER/FEATURE@POSITION",
        help="End in this feature at this position, -1 for the last. May be repeated (features).",
    ),
    click.option(
        "--direction",
        "directions",
        multiple=True,
        metavar="FILE",
        help="End in the residual stream along the vector in FILE: .npy, .safetensors or .json with d_model numbers. "
        "May be repeated (directions).",
    ),
    click.option(
        "--at",
        multiple=True,
        metavar="LAYER@POSITION",
        help="Where the direction is read: before this block, or after the last, at this position.",
    ),
)

# the word of --target -> the option that names what it needs
_OPTION: dict[TargetKind, str] = {
    "roles": "--answer",
    "tokens": "--output",
    "features": "--feature",
    "directions": "--direction",
}


@dataclass(frozen=True)
class GivenTargets:
    """The options as they were given."""

    target: TargetKind | None
    answer: str | None
    distractor: str | None
    tokens_named: tuple[str, ...]
    features: tuple[str, ...]
    directions: tuple[str, ...]
    at: tuple[str, ...]

    @property
    def kind(self) -> TargetKind:
        """Returns where the trace is to end; raises InputError where the options do not fit together."""
        named: dict[TargetKind, bool] = {
            "roles": self.answer is not None,
            "tokens": bool(self.tokens_named),
            "features": bool(self.features),
            "directions": bool(self.directions),
        }
        kinds = [kind for kind, is_named in named.items() if is_named]
        if self.distractor is not None and self.answer is None:
            raise InputError("--distractor needs --answer, the token to explain; give it")
        if len(self.at) != len(self.directions):
            raise InputError(
                f"each --direction needs one --at, the place where it is read, got {len(self.directions)} and "
                f"{len(self.at)}; give as many"
            )
        if len(kinds) > 1:
            options = " and ".join(_OPTION[kind] for kind in kinds)
            raise InputError(f"a trace ends in targets of one kind, got {options}; trace the prompt once for each")
        if self.target is None:
            return kinds[0] if kinds else "probable"
        if kinds and kinds[0] != self.target:
            what = "the probable tokens" if self.target == "probable" else self.target
            raise InputError(
                f"{_OPTION[kinds[0]]} has no part in a trace of {what}; leave it out, or give --target {kinds[0]}"
            )
        if self.target != "probable" and not kinds:
            raise InputError(f"--target {self.target} needs {_OPTION[self.target]}, what to explain; give it")
        return self.target


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command receives them as `asked`."""

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        asked = GivenTargets(**{field.name: given.pop(field.name) for field in fields(GivenTargets)})
        return command(**given, asked=asked)

    for flag in reversed(_FLAGS):
        with_options = flag(with_options)
    return with_options


def asked_targets(
    asked: GivenTargets, *, tokenizer: "PromptTokenizer", prompt: "TracedPrompt"
) -> tuple[AskedTarget, ...]:
    """Returns what the prompt's trace is to end in; () for the probable tokens."""
    length = len(prompt.token_ids)
    match asked.kind:
        case "roles":
            assert asked.answer is not None
            answer = tokenizer.one_token(asked.answer)
            if asked.distractor is None:
                return (RoleTarget(role="answer", token=answer),)
            return (RoleTarget(role="answer-distractor", token=answer, minus=tokenizer.one_token(asked.distractor)),)
        case "tokens":
            return tuple(TokenTarget(tokenizer.one_token(text)) for text in asked.tokens_named)
        case "features":
            return tuple(_feature(text, length=length) for text in asked.features)
        case "directions":
            return tuple(
                _direction(file, at, length=length) for file, at in zip(asked.directions, asked.at, strict=True)
            )
    return ()


def _feature(text: str, *, length: int) -> FeatureTarget:
    feature, at, position = text.partition("@")
    if not at:
        raise InputError(f"--feature should be LAYER/FEATURE@POSITION, such as 2/115@-1, got {text!r}")
    layer, index = feature_of(feature, option="--feature")
    return FeatureTarget(layer=layer, feature=index, position=_position(position, length=length, option="--feature"))


def _direction(file: str, at: str, *, length: int) -> DirectionTarget:
    from circuitbase.cli.vector_file import read_vector

    layer, found, position = at.partition("@")
    if not (found and layer.isascii() and layer.isdigit()):
        raise InputError(f"--at should be LAYER@POSITION, such as 2@-1, got {at!r}")
    vector = read_vector(file)
    return DirectionTarget(
        label=vector.name,
        layer=int(layer),
        position=_position(position, length=length, option="--at"),
        vector=vector.numbers,
    )


def _position(text: str, *, length: int, option: str) -> int:
    """Returns a position from 0; negative ones count from the end."""
    try:
        position = int(text)
    except ValueError as error:
        raise InputError(
            f"the position of {option} should be a number, such as 3, or -1 for the last, got {text!r}"
        ) from error
    if not -length <= position < length:
        raise InputError(f"the position of {option} must be {-length} to {length - 1} on this prompt, got {position}")
    return position % length
