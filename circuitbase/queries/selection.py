"""Which traces a result is about: those of a prompt set, of some of its labels, or of any Cypher that returns traces.

All of them are under one configuration, for numbers of different ones never mix.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from neo4j import Driver, Session

from circuitbase.errors import InputError
from circuitbase.queries.reading import run_read_only
from circuitbase.queries.rollup_choice import ChosenRollup
from circuitbase.schema.declaration import relationship

Label = str | int | float | bool

_DECLARED = frozenset(property.name for property in relationship("IN_SET").properties)
_OF_ROLLUP = """
MATCH (rollup:Rollup {id: $rollup})-[:OVER]->(set:PromptSet)
MATCH (rollup)<-[:SUMMED_IN]-(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)-[member:IN_SET]->(set)
RETURN trace.id AS trace, prompt.id AS prompt, properties(member) AS said, prompt.n_tokens AS tokens
ORDER BY trace
"""
# Ids are digests, so the first of them are as good as drawn; and no more are read than asked for.
_SAMPLE_OF_ROLLUP = """
MATCH (rollup:Rollup {id: $rollup})-[:OVER]->(set:PromptSet)
MATCH (trace:Trace)
WHERE trace.id >= '' AND EXISTS { (trace)-[:SUMMED_IN]->(:Rollup {id: $rollup}) }
WITH trace, set ORDER BY trace.id LIMIT $limit
MATCH (trace)-[:OF_PROMPT]->(prompt:Prompt)-[member:IN_SET]->(set)
RETURN trace.id AS trace, prompt.id AS prompt, properties(member) AS said, prompt.n_tokens AS tokens
ORDER BY trace
"""
_BY_ID = """
UNWIND $traces AS id
MATCH (trace:Trace {id: id})-[:OF_PROMPT]->(prompt:Prompt), (trace)-[:UNDER]->(configuration:Configuration)
OPTIONAL MATCH (prompt)-[member:IN_SET]->(:PromptSet)
WITH trace, prompt, configuration, member ORDER BY member.submitted_at
RETURN trace.id AS trace, prompt.id AS prompt, properties(head(collect(member))) AS said, prompt.n_tokens AS tokens,
       configuration.id AS configuration, configuration.name AS configuration_name
ORDER BY trace
"""


@dataclass(frozen=True)
class SelectedTrace:
    """A trace with what its set says of its prompt; `roles` are token positions by role."""

    id: str
    prompt: str
    cluster: str
    n_tokens: int
    labels: Mapping[str, Label] = field(default_factory=dict)
    roles: Mapping[str, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection:
    """Traces under one configuration, sorted by id; `rollup` holds their sums if they are all of a set."""

    name: str
    configuration: str
    configuration_name: str
    traces: tuple[SelectedTrace, ...]
    rollup: ChosenRollup | None = None

    @property
    def clusters(self) -> tuple[str, ...]:
        """Returns the cluster of each trace."""
        return tuple(trace.cluster for trace in self.traces)


def whole_set(session: Session, rollup: ChosenRollup) -> Selection:
    """Returns all traces of a prompt set under a configuration."""
    return _of_rollup(rollup, session.run(_OF_ROLLUP, rollup=rollup.id).data())


def part_of_set(session: Session, rollup: ChosenRollup, *, most_traces: int) -> Selection:
    """Returns the same, or so many of them at the cost of these."""
    if rollup.traces <= most_traces:
        return whole_set(session, rollup)
    found = session.run(_SAMPLE_OF_ROLLUP, rollup=rollup.id, limit=most_traces).data()
    return replace(_of_rollup(rollup, found), rollup=None)


def _of_rollup(rollup: ChosenRollup, found: list[dict[str, Any]]) -> Selection:
    return Selection(
        name=rollup.prompt_set,
        configuration=rollup.configuration,
        configuration_name=rollup.configuration_name,
        traces=tuple(_selected(row) for row in found),
        rollup=rollup,
    )


def as_chosen(selection: Selection) -> ChosenRollup:
    """Returns what results over rollups call what they are about; without an id, for it is not in the database."""
    return ChosenRollup(
        id="",
        prompt_set=selection.name,
        configuration=selection.configuration,
        configuration_name=selection.configuration_name,
        traces=len(selection.traces),
    )


def labelled(selection: Selection, **wanted: Label) -> Selection:
    """Returns the traces whose labels have some values; raises InputError, with the values there are, if none has."""
    kept = tuple(trace for trace in selection.traces if all(trace.labels.get(k) == v for k, v in wanted.items()))
    asked = ", ".join(f"{name}={value}" for name, value in wanted.items())
    if not kept:
        raise InputError(f"no trace of {selection.name} has {asked}; {_known_labels(selection, wanted)}")
    return Selection(
        name=f"{selection.name} [{asked}]",
        configuration=selection.configuration,
        configuration_name=selection.configuration_name,
        traces=kept,
        rollup=selection.rollup if len(kept) == len(selection.traces) else None,
    )


def selected_by_cypher(driver: Driver, text: str, *, database: str, configuration: str | None) -> Selection:
    """Returns the traces that a reading Cypher returns, as nodes or ids in its first column.

    Raises QueryError for Cypher that does not run, InputError if it returns no traces, or traces under several
    configurations of which `configuration`, the beginning of a name or id, does not choose one.
    """
    found = run_read_only(driver, text, database=database)
    ids = [_trace_id(row[found.columns[0]]) for row in found.rows]
    wanted = sorted({each for each in ids if each is not None})
    with driver.session(database=database, default_access_mode="READ") as session:
        rows = session.run(_BY_ID, traces=wanted).data()
    if not rows:
        raise InputError(
            f"the Cypher should return traces (`MATCH (t:Trace) ... RETURN t`), but none of its {len(ids)} rows is "
            "one; return trace nodes or their ids first"
        )
    if not found.complete:
        raise InputError(f"the Cypher returns more than {len(ids):,} rows; narrow it, or submit the prompts as a set")
    return _of_one_configuration(rows, configuration=configuration)


def _of_one_configuration(rows: list[dict[str, Any]], *, configuration: str | None) -> Selection:
    fitting = [
        row
        for row in rows
        if configuration is None
        or row["configuration"].startswith(configuration)
        or row["configuration_name"].startswith(configuration)
    ]
    counted = Counter((row["configuration"], row["configuration_name"]) for row in fitting)
    if len(counted) != 1:
        every = Counter(row["configuration_name"] for row in rows)
        names = "; ".join(f"{name} ({count} traces)" for name, count in sorted(every.items()))
        raise InputError(
            f"the traces should be under one configuration, for several never mix, but are under {len(counted)}; "
            f"choose with --configuration out of: {names}"
        )
    ((id, name),) = counted
    traces = tuple(_selected(row) for row in fitting)
    return Selection(name=f"{len(traces)} traces by Cypher", configuration=id, configuration_name=name, traces=traces)


def _selected(row: Mapping[str, Any]) -> SelectedTrace:
    said = row["said"] or {}
    return SelectedTrace(
        id=row["trace"],
        prompt=row["prompt"],
        cluster=said.get("cluster", row["prompt"]),
        n_tokens=row["tokens"],
        labels={name: value for name, value in said.items() if name not in _DECLARED},
        roles=json.loads(said.get("roles") or "{}"),
    )


def _trace_id(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return value.get("id") if "Trace" in value.get("labels", ()) else None
    return value if isinstance(value, str) else None


def _known_labels(selection: Selection, wanted: Mapping[str, Label]) -> str:
    found = []
    for name in wanted:
        values = Counter(trace.labels[name] for trace in selection.traces if name in trace.labels)
        shown = ", ".join(f"{value} ({count})" for value, count in values.most_common(10)) or "no trace has it"
        found.append(f"{name}: {shown}")
    names = sorted({name for trace in selection.traces for name in trace.labels})
    return f"there is {'; '.join(found)} (labels: {', '.join(names) or 'none'})"
