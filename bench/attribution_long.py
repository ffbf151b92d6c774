"""A long prompt: 60,000 active features, traced with a share of each target's input kept, pruned and scored."""

from dataclasses import fields
from pathlib import Path

from bench.attribution_environment import Request, ours
from bench.attribution_shape import Shape, subject, token_ids
from bench.attribution_standard import GB
from bench.measurement import Measurement
from circuitbase.tracing.options import TraceOptions

TOKENS = 104
KEEP_MASS = 0.98
GOAL = 8.0


def long_prompt(folder: Path, *, threads: int, tokens: int = TOKENS) -> list[Measurement]:
    """Traces `tokens` tokens of the standard model; the goal is on the memory above model and dictionary."""
    if "keep_mass" not in {option.name for option in fields(TraceOptions)}:
        raise SystemExit("--long needs the option keep_mass of TraceOptions, which this tracer lacks; leave --long out")
    options = {"prune": True, "keep_mass": KEEP_MASS}
    made = subject(Shape(), folder)
    found = ours(Request(made, token_ids(made.shape, tokens), threads, runs=(options,)))["runs"][0]
    return [
        Measurement("long prompt, active features", found["active"], ""),
        Measurement("long prompt, edges", found["edges"], ""),
        Measurement("long prompt, share of influence kept", found["kept_mass"], ""),
        Measurement("long prompt, stored edges", found["stored_edges"], ""),
        Measurement("long prompt, trace, prune and score", found["wall"], "s", better="lower"),
        Measurement("long prompt, processor", found["processor"], "s", better="lower"),
        *(
            Measurement(f"  of it {name}", seconds, "s", better="lower")
            for name, seconds in sorted(found["stages"].items(), key=lambda stage: -stage[1])
            if seconds > 0.1
        ),
        Measurement("long prompt, account violation", found["violation"], "", better="lower"),
        Measurement(
            "long prompt, memory above the loaded",
            (found["peak"] - found["before"]) / GB,
            "GB",
            goal=GOAL,
            better="lower",
        ),
    ]
