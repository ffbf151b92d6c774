"""The supernodes of a prompt set: units that play one role over its traces."""

from collections.abc import Sequence
from dataclasses import dataclass

from neo4j import Session

from circuitbase.errors import InputError
from circuitbase.graph.supernode_edits import SupernodeEdit
from circuitbase.graph.supernodes import THRESHOLD, Grouping, supernodes
from circuitbase.queries.circuit import least_traces
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.queries.trace_stream import Progress, no_progress, stream_traces, unit_names
from circuitbase.queries.unit_shares import unit_shares

GROUPED_KINDS = ("Feature", "Head", "Mlp", "Neuron")  # tokens, errors and outputs stay alone
MOST_UNITS = 5000  # likenesses of every two of them are held in memory

CANDIDATES = """
MATCH (unit:Unit)-[seen:SEEN_IN]->(:Rollup {id: $rollup})
WHERE seen.rollup = $rollup AND seen.traced >= $least AND unit.kind IN $kinds
RETURN unit.id AS id ORDER BY id
"""


@dataclass(frozen=True)
class SupernodeOptions:
    """Which units may be grouped, by the fraction of traces that hold them, and how alike members must be."""

    threshold: float = THRESHOLD
    min_presence: float = 0.1


@dataclass(frozen=True)
class SupernodeReport:
    """The supernodes of a rollup among `candidates` units; `names` are those of their members, by id."""

    rollup: ChosenRollup
    options: SupernodeOptions
    candidates: int
    grouping: Grouping
    names: dict[str, str]


def supernodes_of(
    session: Session,
    rollup: ChosenRollup,
    *,
    options: SupernodeOptions = SupernodeOptions(),
    edits: Sequence[SupernodeEdit] = (),
    progress: Progress = no_progress,
) -> SupernodeReport:
    """Returns the supernodes of a rollup; raises InputError for options or sets that fit no result.

    Reads every trace once: signed shares are in no sums.
    """
    if not 0 < options.threshold <= 1:
        raise InputError(f"the threshold must be a likeness above 0 and at most 1, got {options.threshold:g}")
    if rollup.traces < 2:
        raise InputError(
            f"prompt set {rollup.prompt_set!r} has one trace, and roles show over two or more; "
            "submit more prompts to it"
        )
    least = max(2, least_traces(rollup.traces, min_presence=options.min_presence))
    kinds = list(GROUPED_KINDS)
    candidates = [row["id"] for row in session.run(CANDIDATES, rollup=rollup.id, least=least, kinds=kinds)]
    if len(candidates) > MOST_UNITS:
        raise InputError(
            f"{len(candidates)} units of prompt set {rollup.prompt_set!r} are in {least} of its traces, and at most "
            f"{MOST_UNITS} can be compared each with each; raise --min-presence"
        )
    shares = unit_shares(stream_traces(session, rollup, progress=progress))
    grouping = supernodes(shares, candidates, threshold=options.threshold, edits=edits)
    members = {unit for each in grouping.supernodes for unit in each.members}
    return SupernodeReport(rollup, options, len(candidates), grouping, unit_names(session, members))
