"""The options of `patch`, as one PatchOptions."""

import functools
from collections.abc import Callable
from typing import Any

import click

from circuitbase.errors import InputError
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.noise import Noise
from circuitbase.tracing.patching.patch_options import PATCH_METHODS, PatchOptions
from circuitbase.tracing.patching.patch_site import PatchSite

_OPTIONS = (
    click.option(
        "--method", type=click.Choice(PATCH_METHODS), default="activation", show_default=True, help="What to do."
    ),
    click.option(
        "--site", type=click.Choice([site.value for site in PatchSite]), help="What to patch.  [default: heads]"
    ),
    click.option(
        "--direction",
        type=click.Choice(("noising", "denoising", "both")),
        help="Corrupted values into the clean run, clean ones into the corrupted, or both.  [default: both]",
    ),
    click.option("--positions", type=click.Choice(("all", "each")), help="All at once, or each alone.  [default: all]"),
    click.option("--window", type=int, help="Slide this many layers over the model.  [default: 1]"),
    click.option(
        "--sender",
        multiple=True,
        metavar="NAMES",
        help="path: input, a0.h1 or m2; several by commas go at once. May be repeated.  [default: each that is read]",
    ),
    click.option("--receiver", multiple=True, metavar="NAME", help="path: a2.h0<q>, m1 or logits. May be repeated."),
    click.option("--recompute-mlps", is_flag=True, default=None, help="path: let MLPs between answer to the change."),
    click.option("--noise", type=float, help="causal-tracing: standard deviations of the embedding.  [default: 3]"),
    click.option("--samples", type=int, help="causal-tracing: draws of noise to average.  [default: 10]"),
    click.option("--seed", type=int, help="causal-tracing: seed of the noise.  [default: 0]"),
    click.option(
        "--noise-at",
        metavar="POSITIONS",
        help="causal-tracing: positions by commas, -1 the last.  [default: where the prompts of a pair differ]",
    ),
    click.option(
        "--component",
        multiple=True,
        metavar="NAMES",
        help="knockout: a0.h1 or m2; several by commas go at once. May be repeated.  [default: each of the site]",
    ),
    click.option("--mean-by-position", is_flag=True, default=None, help="knockout: a mean for each position."),
)
_NAMES = (
    "method",
    "site",
    "direction",
    "positions",
    "window",
    "sender",
    "receiver",
    "recompute_mlps",
    "noise",
    "samples",
    "seed",
    "noise_at",
    "component",
    "mean_by_position",
)


def patch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command receives them as `options`, whose metric and batch size are still the defaults."""

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        options = _options(**{name: given.pop(name) for name in _NAMES})
        return command(**given, options=options)

    for option in reversed(_OPTIONS):
        with_options = option(with_options)
    return with_options


def _options(
    *,
    site: str | None,
    direction: str | None,
    positions: str | None,
    sender: tuple[str, ...],
    receiver: tuple[str, ...],
    noise_at: str | None,
    component: tuple[str, ...],
    **given: Any,
) -> PatchOptions:
    drawn = {name: given.pop(name) for name in ("noise", "samples", "seed")}
    noise = {("scale" if name == "noise" else name): value for name, value in drawn.items() if value is not None}
    directions = None if direction is None else tuple(Direction) if direction == "both" else (Direction(direction),)
    return PatchOptions(
        site=None if site is None else PatchSite(site),
        directions=directions,
        each_position=None if positions is None else positions == "each",
        senders=_groups(sender),
        receivers=receiver or None,
        noise=Noise(**noise) if noise else None,
        noise_positions=None if noise_at is None else _numbers(noise_at),
        components=_groups(component),
        **given,
    )


def _groups(given: tuple[str, ...]) -> tuple[tuple[str, ...], ...] | None:
    groups = tuple(tuple(name.strip() for name in names.split(",") if name.strip()) for names in given)
    return groups or None


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError as error:
        raise InputError(f"--noise-at should be positions by commas, such as 2,3 or -1, got {text!r}") from error
