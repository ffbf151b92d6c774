"""The options that change a trace's numbers, shared by `trace` and `submit`.

Together they are one TraceOptions, or for a trace of components one ComponentOptions.
"""

import functools
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.dtypes import DTYPE_NAMES
from circuitbase.tracing.options import TargetKind, TraceOptions

_UNBOUNDED = "as many as there are"  # what an option is given that is given no number
_KIND = click.option(
    "--kind",
    type=click.Choice(("features", "components")),
    default="features",
    show_default=True,
    help="Trace the features of a dictionary, or the model's own heads and MLPs.",
)
_OF_BOTH = (
    click.option("--full", is_flag=True, help="Keep every node and edge instead of pruning."),
    click.option(
        "--node-threshold",
        type=float,
        default=TraceOptions.node_threshold,
        show_default=True,
        help="Share of the influence that pruning keeps in nodes.",
    ),
    click.option(
        "--edge-threshold",
        type=float,
        default=TraceOptions.edge_threshold,
        show_default=True,
        help="Share of the influence that pruning keeps in edges.",
    ),
    click.option(
        "--max-outputs",
        type=int,
        default=TraceOptions.max_outputs,
        show_default=True,
        help="Most probable tokens to end in, at most.",
    ),
    click.option(
        "--output-probability",
        type=float,
        default=TraceOptions.output_probability,
        show_default=True,
        help="Probability after which no further token is taken.",
    ),
    click.option(
        "--dtype",
        type=click.Choice(DTYPE_NAMES),
        default=TraceOptions.dtype,
        show_default=True,
        help="Type of the weights; half-precision ones are multiplied in float32.",
    ),
)
_OF_FEATURES = (
    click.option("--max-features", type=int, help="Trace this many features, the most influential first."),
    click.option(
        "--keep-mass",
        type=float,
        default=TraceOptions.keep_mass,
        show_default=True,
        help="Keep of each target its largest edges, up to this share of its absolute input.",
    ),
    click.option(
        "--silent",
        multiple=True,
        metavar="LAYER/FEATURE",
        help="Trace this feature also where it does not fire. May be repeated.",
    ),
    click.option("--heads", is_flag=True, help="Split each edge by the last attention head on its paths."),
    click.option(
        "--explain-attention",
        multiple=True,
        metavar="LAYER/HEAD[@QUERY]",
        help="Say which pairs of nodes made this head look where it looked from this position, by default the last. "
        "May be repeated.",
    ),
    click.option(
        "--explain-keys",
        type=int,
        default=TraceOptions.explain_keys,
        show_default=True,
        help="Positions with the most attention that are explained, for each head.",
    ),
    click.option(
        "--explain-pairs",
        type=int,
        default=TraceOptions.explain_pairs,
        show_default=True,
        help="Strongest pairs of nodes that are kept, for each such position.",
    ),
    click.option("--tf32", is_flag=True, help="Let a GPU multiply in TF32: faster, with 3 digits instead of 7."),
)
_OF_COMPONENTS = (
    click.option(
        "--tau",
        type=float,
        default=ComponentOptions.tau,
        show_default=True,
        help="Components: leave out nodes and edges with less influence than this, in logits.",
    ),
    click.option(
        "--relative-tau",
        type=float,
        default=ComponentOptions.relative_tau,
        show_default=True,
        help="Components: leave out nodes below this share of the largest of their stage (a layer's heads, or its "
        "MLP), and edges below this share of the largest into their node.",
    ),
    click.option(
        "--neurons",
        is_flag=False,
        flag_value=_UNBOUNDED,
        default="0",
        show_default=True,
        metavar="N",
        help="Components: the N most influential neurons of each MLP are nodes of their own.",
    ),
    click.option(
        "--links",
        is_flag=False,
        flag_value=_UNBOUNDED,
        default="0",
        show_default=True,
        metavar="N",
        help="Components: the N most influential attention links (head, query, key) of each layer are nodes.",
    ),
    click.option(
        "--positions",
        type=click.Choice(("each", "summed")),
        default=ComponentOptions.positions,
        show_default=True,
        help="Components: a node for each position of a unit, or one for all.",
    ),
)


_NAMES = ("full", "node_threshold", "edge_threshold", "max_outputs", "output_probability", "dtype")
_FEATURE_NAMES = (
    "max_features",
    "keep_mass",
    "silent",
    "heads",
    "explain_attention",
    "explain_keys",
    "explain_pairs",
    "tf32",
)
_COMPONENT_NAMES = ("tau", "relative_tau", "neurons", "links", "positions")


def trace_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command receives them as `options`, whose target is still the default."""

    @functools.wraps(command)
    def with_options(**given: Any) -> Any:
        kind = given.pop("kind")
        both, features, components = (
            {name: given.pop(name) for name in names} for names in (_NAMES, _FEATURE_NAMES, _COMPONENT_NAMES)
        )
        _check_kind(kind)
        make, own = (_feature_options, features) if kind == "features" else (_component_options, components)
        return command(**given, options=make(**both, **own))

    for flag in reversed((_KIND, *_OF_BOTH, *_OF_FEATURES, *_OF_COMPONENTS)):
        with_options = flag(with_options)
    return with_options


def check_limits(target: TargetKind) -> None:
    """Raises InputError if an option of the probable tokens was given for another target."""
    given = [] if target == "probable" else _given("max_outputs", "output_probability")
    if given:
        raise InputError(f"{given[0]} limits the most probable tokens, but the trace ends in {target}; leave it out")


def feature_of(text: str, *, option: str) -> tuple[int, int]:
    """Returns (layer, feature) of a text such as 2/115 or L02/F00115; raises InputError for another."""
    layer, _, feature = text.partition("/")
    numbers = (layer.removeprefix("L"), feature.removeprefix("F"))
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise InputError(f"{option} should name a feature as LAYER/FEATURE, such as 2/115 or L02/F00115, got {text!r}")
    return int(numbers[0]), int(numbers[1])


def head_of(text: str, *, option: str) -> tuple[int, int, int]:
    """Returns (layer, head, query) of a text such as 2/1, 2/1@4 or L02/head/1@-2; raises InputError for another.

    Without a query it is -1, the last position.
    """
    place, at, query = text.partition("@")
    layer, _, head = place.replace("/head/", "/").partition("/")
    numbers = (layer.removeprefix("L"), head, query.removeprefix("-") if at else "1")
    if not all(number.isascii() and number.isdigit() for number in numbers):
        raise InputError(
            f"{option} should name a head as LAYER/HEAD or LAYER/HEAD@QUERY, such as 2/1 or 2/1@-1, got {text!r}"
        )
    return int(numbers[0]), int(head), int(query) if at else -1


def _feature_options(
    *, full: bool, silent: tuple[str, ...], explain_attention: tuple[str, ...], **numbers: Any
) -> TraceOptions:
    _check_full(full=full)
    features = tuple(feature_of(text, option="--silent") for text in silent)
    given = [] if explain_attention else _given("explain_keys", "explain_pairs")
    if given:
        raise InputError(f"{given[0]} has no part in a trace without --explain-attention; give that too")
    heads = tuple(head_of(text, option="--explain-attention") for text in explain_attention)
    return TraceOptions(prune=not full, silent=features, explain_attention=heads, **numbers)


def _component_options(*, full: bool, neurons: str, links: str, **numbers: Any) -> ComponentOptions:
    _check_full(full=full)
    return ComponentOptions(
        prune=not full,
        neurons=_count(neurons, option="--neurons"),
        links=_count(links, option="--links"),
        **numbers,
    )


def _count(text: str, *, option: str) -> int:
    """Returns how many parts of each layer are asked for."""
    if text.isascii() and text.isdigit():
        return int(text)
    found = "none" if text == _UNBOUNDED else repr(text)
    raise InputError(
        f"{option} needs a bound on their number, such as {option} 20 for the 20 most influential of each layer, "
        f"got {found}"
    )


def _check_full(*, full: bool) -> None:
    given = _given("node_threshold", "edge_threshold") if full else []
    if given:
        raise InputError(f"--full keeps everything, so {given[0]} has no part in it; leave out one of them")


def _check_kind(kind: str) -> None:
    """Raises InputError if an option of the other kind was given."""
    given = _given(*(_COMPONENT_NAMES if kind == "features" else _FEATURE_NAMES))
    if given:
        other = "components" if kind == "features" else "features"
        raise InputError(f"{given[0]} has no part in a trace of {kind}; leave it out, or give --kind {other}")


def _given(*names: str) -> list[str]:
    """Returns those of the options that stand on the command line, as written there."""
    context = click.get_current_context()
    found = [name for name in names if context.get_parameter_source(name) == ParameterSource.COMMANDLINE]
    return [f"--{name.replace('_', '-')}" for name in found]
