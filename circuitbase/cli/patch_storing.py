"""Results of interventions as they are stored in Neo4j."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuitbase.schema.identity import sha256

if TYPE_CHECKING:
    from circuitbase.cli.component_options import Loaded
    from circuitbase.ingest.interventions import MadeIntervention
    from circuitbase.tracing.components.pairs import Pair
    from circuitbase.tracing.patching.experiment import PatchResult

NUMBERS_VERSION = 1  # raised when the same set-up gives other numbers
_NAMES = {
    "activation": "activation-patching",
    "attribution": "attribution-patching",
    "path": "path-patching",
    "causal-tracing": "causal-tracing",
    "knockout": "knockout",
}


@dataclass(frozen=True)
class MeanSet:
    """The set that a knockout's means are over: its name, and its prompts as token ids."""

    name: str
    prompts: Sequence[tuple[int, ...]]


def store(result: "PatchResult", loaded: "Loaded", *, metric: str, mean_set: MeanSet | None) -> str:
    """Writes a result into Neo4j and returns a sentence about it."""
    from circuitbase.ingest.connection import open_driver
    from circuitbase.ingest.interventions import store_interventions
    from circuitbase.settings import load_settings

    settings = load_settings()
    found = made(result, loaded.pairs, metric=metric, dtype=loaded.traced.dtype, mean_set=mean_set)
    with open_driver(settings) as driver:
        new = store_interventions(driver, loaded.traced.identity, found, database=settings.neo4j_database)
    return f"{new} of {len(found)} interventions were new to Neo4j"


def made(
    result: "PatchResult",
    pairs: "Sequence[Pair]",
    *,
    metric: str,
    dtype: str,
    mean_set: MeanSet | None,
) -> "list[MadeIntervention]":
    """Returns an intervention for every place and direction; effects are changes of the metric by pair."""
    from circuitbase.ingest.interventions import MadeIntervention
    from circuitbase.tracing.patching.subjects import port_letter

    options = result.options
    setup: dict[str, Any] = {
        "version": NUMBERS_VERSION,
        "pairs": sha256([asdict(pair) for pair in pairs]),
        "dtype": dtype,
    }
    if metric.endswith(".py") or ".py:" in metric:
        setup["metric_file"] = sha256(Path(metric.rpartition(":")[0]).read_text(encoding="utf-8"))
    further = {
        "recompute_mlps": options.recompute_mlps,
        "noise": None if options.noise is None else asdict(options.noise),
        "noise_positions": options.noise_positions,
        "mean_by_position": options.mean_by_position,
    }
    setup |= {name: value for name, value in further.items() if value is not None}
    if mean_set is not None:
        setup["mean_over"] = {"name": mean_set.name, "prompts": sha256([list(prompt) for prompt in mean_set.prompts])}
    directed = options.directions is not None
    return [
        MadeIntervention(
            name=subject.name,
            method=_NAMES[options.method],
            site=subject.kind,
            direction=str(effects.direction) if directed else None,
            metric=metric,
            effects=tuple(effects.change[place].tolist()),
            setup=setup,
            layer=subject.layer,
            layers=subject.layers,
            head=subject.head,
            position=subject.position,
            on=subject.components,
            reaches=tuple(
                ((receiver.layer, receiver.head), port_letter(receiver.port))
                for receiver in subject.reaches
                if receiver.name != "logits"
            ),
        )
        for effects in result.effects
        for place, subject in enumerate(result.subjects)
    ]
