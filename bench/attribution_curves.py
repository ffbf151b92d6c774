"""Seconds and memory by number of tokens and of features; circuit-tracer beside where it takes minutes, not more."""

from pathlib import Path

from bench.attribution_environment import COMPLETE, PRUNED, Request, baseline, ours
from bench.attribution_shape import Shape, subject, token_ids
from bench.attribution_standard import GB, PROMPT
from bench.measurement import Measurement

TOKENS = (8, 16, 32, 64)
FEATURES = (4_096, 16_384, 32_768, 98_304)
STANDARD = Shape()
BASELINE_NODES = 16_000  # with more, its dense matrix and its passes take over five minutes on two cores
COMPLETE_NODES = 20_000  # complete graphs up to here; pruned ones beyond, where the edges alone would be gigabytes


def curves(folder: Path, environment: Path | None, *, threads: int, batch_size: int) -> list[Measurement]:
    """Traces the standard model on other lengths, and models with other numbers of features on 16 tokens.

    As many features are active per layer and position whatever their number.
    """
    cases = [(f"{tokens} tokens", STANDARD, tokens) for tokens in TOKENS]
    cases += [(f"{features:,} features", Shape(n_features=features), 16) for features in FEATURES]
    found = []
    for name, shape, tokens in cases:
        expected = shape.n_layers * tokens * shape.active
        request = Request(
            subject(shape, folder),
            token_ids(shape, tokens, seed=PROMPT),
            threads,
            runs=(COMPLETE if expected <= COMPLETE_NODES else PRUNED,),
            batch_size=batch_size,
        )
        reference = baseline(request, environment) if environment and expected <= BASELINE_NODES else None
        found += point(name, ours(request)["runs"][0], reference["tracing"] if reference else None)
    return found


def point(name: str, mine: dict[str, float], theirs: dict[str, float] | None) -> list[Measurement]:
    """Returns one point of a curve."""
    above = None if theirs is None else (theirs["peak"] - theirs["before"]) / GB
    wall, processor = (None, None) if theirs is None else (theirs["wall"], theirs["processor"])
    return [
        Measurement(f"{name}, {mine['active']:,} active", mine["wall"], "s", wall, better="lower"),
        Measurement(f"{name}, processor", mine["processor"], "s", processor, better="lower"),
        Measurement(
            f"{name}, memory above the loaded", (mine["peak"] - mine["before"]) / GB, "GB", above, better="lower"
        ),
    ]
