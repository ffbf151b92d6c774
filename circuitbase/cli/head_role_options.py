"""The options that head roles depend on: together they are one HeadRoleOptions."""

import functools
from collections.abc import Callable
from typing import Any

import click

from circuitbase.errors import InputError
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.roles import BOUNDS, Role

_DEFAULT = HeadRoleOptions()
_FLAGS = (
    click.option(
        "--periods",
        default=",".join(map(str, _DEFAULT.periods)),
        show_default=True,
        metavar="LIST",
        help="Periods of the random tokens that are repeated, by commas.",
    ),
    click.option(
        "--sequences", default=_DEFAULT.sequences, show_default=True, help="Random sequences per period and seed."
    ),
    click.option(
        "--length",
        default=_DEFAULT.length,
        show_default=True,
        help="Tokens of a random prompt of the positional score.",
    ),
    click.option(
        "--seeds",
        default=",".join(map(str, _DEFAULT.seeds)),
        show_default=True,
        metavar="LIST",
        help="Seeds of the random tokens, by commas.",
    ),
    click.option(
        "--ov-tokens",
        "tokens",
        default=_DEFAULT.tokens,
        show_default=True,
        help="Tokens of the vocabulary that OV circuits are measured on, at most.",
    ),
    click.option(
        "--bare-embeddings",
        is_flag=True,
        help="Let the OV circuits of later layers read tokens without what the first MLP writes for them.",
    ),
    click.option(
        "--smallest-change",
        default=_DEFAULT.smallest_change,
        show_default=True,
        help="Change of the name movers' attention below which S-inhibition is not measured.",
    ),
    click.option(
        "--bound",
        "bounds",
        multiple=True,
        metavar="ROLE=SCORE",
        help="Score above which a head has a role, in place of the default. May be repeated.",
    ),
)
_NAMES = ("periods", "sequences", "length", "seeds", "tokens", "bare_embeddings", "smallest_change", "bounds")


def head_role_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command receives them as `options`."""

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        chosen = {name: given.pop(name) for name in _NAMES}
        return command(**given, options=_options(**chosen))

    for flag in reversed(_FLAGS):
        with_options = flag(with_options)
    return with_options


def _options(
    *, periods: str, seeds: str, bare_embeddings: bool, bounds: tuple[str, ...], **numbers: Any
) -> HeadRoleOptions:
    return HeadRoleOptions(
        periods=_integers(periods, option="--periods"),
        seeds=_integers(seeds, option="--seeds"),
        through_first_mlp=not bare_embeddings,
        bounds={**BOUNDS, **dict(_bound(text) for text in bounds)},
        **numbers,
    )


def _integers(text: str, *, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InputError(f"{option} should be whole numbers by commas, such as 4,6,9, got {text!r}") from error


def _bound(text: str) -> tuple[Role, float]:
    name, _, score = text.partition("=")
    try:
        return Role(name), float(score)
    except ValueError as error:
        roles = ", ".join(role.value for role in Role)
        raise InputError(
            f"--bound should be a role and a score, such as induction=0.5, got {text!r}; the roles are {roles}"
        ) from error
