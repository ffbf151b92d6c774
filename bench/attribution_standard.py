"""The standard shape: one prompt, the complete graph, circuit-tracer and circuitbase on the same files."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.attribution_comparison import Comparison, compared
from bench.attribution_environment import COMPLETE, PRUNED, Request, baseline, ours
from bench.attribution_shape import Shape, subject, token_ids
from bench.measurement import Measurement

TOKENS = 16
PROMPT = 9  # the seed of a prompt on which about 47 features are active per layer and position: 9,035 in all
SPEED_GOAL, MEMORY_GOAL, PRUNING_GOAL, DIFFERENCE_GOAL = 10.0, 0.5, 0.5, 1e-5
PRUNING_STAGES = ("assemble",)  # of the pipeline: influence, pruning, scores and the columns that are stored
SCORES = ("replacement", "completeness")
GB = 1e9


def standard(
    folder: Path, environment: Path | None, *, threads: int, batch_size: int, profile: bool
) -> list[Measurement]:
    """Traces the standard prompt with both, or with circuitbase alone where there is no environment."""
    made = subject(Shape(), folder)
    tokens = token_ids(made.shape, TOKENS, seed=PROMPT)
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-", dir=folder) as graphs:
        theirs, mine = Path(graphs) / "theirs.pt", Path(graphs) / "mine.npz"
        runs = (COMPLETE, PRUNED, COMPLETE)
        our_request = Request(made, tokens, threads, runs=runs, profile=profile, graph=mine if environment else None)
        their_request = Request(made, tokens, threads, batch_size=batch_size, profile=profile, graph=theirs)
        reference = baseline(their_request, environment) if environment else None
        found = ours(our_request)
        _explain("circuitbase", found["profile"])
        measurements = alone(found)
        if reference:
            _explain("circuit-tracer", reference["profile"])
            measurements += beside(found, reference)
            measurements += differences(compared(theirs, mine))
    return measurements


def alone(found: dict[str, Any]) -> list[Measurement]:
    """Returns our own numbers: the first trace of a process, and the stages of a later one."""
    first, pruned, again = found["runs"]
    pruning = sum(pruned["stages"].get(stage, 0.0) for stage in PRUNING_STAGES)
    stages = sorted(again["stages"].items(), key=lambda stage: -stage[1])
    return [
        Measurement("standard, active features", first["active"], ""),
        Measurement("standard, edges", first["edges"], ""),
        Measurement("standard, loading", found["loading"]["wall"], "s", better="lower"),
        Measurement("standard, trace again", again["wall"], "s", better="lower"),
        *(Measurement(f"  of it {name}", seconds, "s", better="lower") for name, seconds in stages if seconds > 0.005),
        Measurement("standard, trace and prune", pruned["wall"], "s", better="lower"),
        Measurement("standard, kept edges", pruned["stored_edges"], ""),
        Measurement("standard, pruning and scores", pruning, "s", goal=PRUNING_GOAL, better="lower"),
        Measurement("standard, memory of the loaded", first["before"] / GB, "GB", better="lower"),
        Measurement("standard, memory above the loaded", (first["peak"] - first["before"]) / GB, "GB", better="lower"),
    ]


def beside(found: dict[str, Any], reference: dict[str, Any]) -> list[Measurement]:
    """Returns both tracers' numbers for one complete graph; theirs does not contain scores, ours does."""
    first, theirs = found["runs"][0], reference["tracing"]
    pruning = reference["pruning"]["wall"] + reference["scoring"]["wall"]
    whole = max(theirs["peak"], reference["pruning"]["peak"], reference["scoring"]["peak"])
    our_whole = max(run["peak"] for run in found["runs"][:2])
    return [
        Measurement("standard, complete graph", first["wall"], "s", theirs["wall"], better="lower"),
        Measurement("standard, processor", first["processor"], "s", theirs["processor"], better="lower"),
        Measurement("standard, processor, times less", theirs["processor"] / first["processor"], "×"),
        Measurement("standard, peak memory", first["peak"] / GB, "GB", theirs["peak"] / GB, better="lower"),
        Measurement(
            "  without mapped files", first["own_peak"] / GB, "GB", theirs["own_peak"] / GB, better="lower"
        ),
        Measurement("standard, peak with pruning", our_whole / GB, "GB", whole / GB, better="lower"),
        Measurement("standard, circuit-tracer's pruning and scores", pruning, "s", better="lower"),
        Measurement("standard, times faster", theirs["wall"] / first["wall"], "×", goal=SPEED_GOAL),
        Measurement(
            "standard, peak memory to circuit-tracer's", first["peak"] / theirs["peak"], "", goal=MEMORY_GOAL,
            better="lower",
        ),
        *(
            Measurement(f"standard, {name} score differs by", abs(mine - other), "", better="lower")
            for name, mine, other in zip(SCORES, first["scores"], reference["scores"], strict=True)
        ),
    ]  # fmt: skip


def differences(found: Comparison) -> list[Measurement]:
    """Returns how far the two graphs differ, edge by edge."""
    return [
        Measurement("edges compared", found.edges, ""),
        Measurement(
            "largest difference to the largest edge", found.of_largest, "", goal=DIFFERENCE_GOAL, better="lower"
        ),
        Measurement("largest difference to its target's largest", found.of_row, "", better="lower"),
        Measurement("features that one of the two lacks", found.only_baseline + found.only_ours, "", better="lower"),
        Measurement("largest activation of those", found.largest_only, "", better="lower"),
    ]


def _explain(tracer: str, lines: list[str]) -> None:
    for line in lines:
        print(f"{tracer}: {line}", file=sys.stderr)
