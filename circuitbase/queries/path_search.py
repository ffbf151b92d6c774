"""The traces that realise a path through the same trace nodes, by the strength of the path.

The search starts at the nodes of the named unit that has the fewest, so that it costs what these lead to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neo4j import Driver

from circuitbase.queries.named_units import NamedUnits
from circuitbase.queries.path_language import PathStep
from circuitbase.queries.reading import SECONDS, run_read_only

_START = """\
UNWIND $unit{anchor} AS id
MATCH (:Unit {{id: id}})<-[:OF]-(node{anchor}:TraceNode)<-[:CONTAINS]-(trace:Trace)-[:OF_PROMPT]->(prompt:Prompt)
WHERE $set = "" OR EXISTS {{ (prompt)-[:IN_SET]->(:PromptSet {{name: $set}}) }}
WITH trace, prompt, node{anchor}"""
_END = """\
WITH trace, prompt, [{nodes}] AS nodes, [{edges}] AS edges
WITH trace, prompt, nodes, edges, reduce(strength = 1.0, edge IN edges | strength * edge.share) AS strength
ORDER BY strength DESC, reduce(place = "", node IN nodes | place + node.index + " ")
WITH trace, prompt, count(*) AS paths, max(strength) AS strength, head(collect([nodes, edges])) AS best
ORDER BY strength DESC, trace.id
WITH collect({{trace: trace, prompt: prompt, paths: paths, strength: strength, best: best}}) AS found
UNWIND found[..$limit] AS each
WITH size(found) AS traces, each, each.trace AS trace, each.prompt AS prompt
MATCH (trace)-[:UNDER]->(configuration:Configuration)
RETURN each.strength AS strength, prompt.text AS text, prompt.tokens AS tokens,
       [node IN each.best[0] | head([(node)-[:OF]->(unit:Unit) | unit.name])] AS units,
       [node IN each.best[0] | node.position] AS positions,
       [edge IN each.best[1] | edge.port] AS ports, [edge IN each.best[1] | edge.weight] AS weights,
       each.paths AS paths, trace.id AS trace, configuration.name AS configuration, traces
ORDER BY strength DESC, trace"""


@dataclass(frozen=True)
class FoundPath:
    """A trace with the strongest of its `paths` that fit: units and positions in its order, weights of its edges.

    `strength` is the product of the edges' shares. `ports` name the inputs that edges enter, None but for heads.
    """

    trace: str
    configuration: str
    text: str
    strength: float
    units: tuple[str, ...]
    positions: tuple[int, ...]
    ports: tuple[str | None, ...]
    weights: tuple[float, ...]
    paths: int


@dataclass(frozen=True)
class PathSearch:
    """The traces with the strongest paths; `traces` counts all that realise one."""

    found: tuple[FoundPath, ...]
    traces: int


def search_paths(
    driver: Driver,
    steps: Sequence[PathStep],
    units: Mapping[str, NamedUnits],
    *,
    prompt_set: str | None,
    limit: int,
    database: str,
    seconds: float = SECONDS,
) -> PathSearch:
    """Returns the traces that realise a path; raises QueryError if that takes longer than `seconds`."""
    text = path_cypher(steps, units)
    given = path_parameters(steps, units, prompt_set=prompt_set, limit=limit)
    rows = run_read_only(driver, text, given, database=database, seconds=seconds).rows
    return PathSearch(
        found=tuple(
            FoundPath(
                trace=row["trace"],
                configuration=row["configuration"],
                text=row["text"] if row["text"] is not None else "".join(row["tokens"]),
                strength=row["strength"],
                units=tuple(row["units"]),
                positions=tuple(row["positions"]),
                ports=tuple(row["ports"]),
                weights=tuple(row["weights"]),
                paths=row["paths"],
            )
            for row in rows
        ),
        traces=rows[0]["traces"] if rows else 0,
    )


def path_cypher(steps: Sequence[PathStep], units: Mapping[str, NamedUnits]) -> str:
    """Returns the Cypher of a path; its shape alone is written into it, names are parameters."""
    anchor = anchor_of(steps, units)
    lines, carried = [_START.format(anchor=anchor)], [f"node{anchor}"]
    hops = [(place, place + 1) for place in reversed(range(anchor))]
    hops += [(place - 1, place) for place in range(anchor + 1, len(steps))]
    for source, target in hops:
        new = source if f"node{target}" in carried else target
        wanted = []
        if steps[new].unit is not None:
            wanted.append(f"EXISTS {{ MATCH (node{new})-[:OF]->(unit:Unit) WHERE unit.id IN $unit{new} }}")
        if steps[target].port is not None:
            wanted.append(f"edge{target}.port = $port{target}")
        carried += [f"node{new}", f"edge{target}"]
        lines.append(f"MATCH (node{source}:TraceNode)-[edge{target}:AFFECTS]->(node{target}:TraceNode)")
        lines += [f"WHERE {' AND '.join(wanted)}"] if wanted else []
        lines.append(f"WITH trace, prompt, {', '.join(carried)}")
    nodes = ", ".join(f"node{place}" for place in range(len(steps)))
    edges = ", ".join(f"edge{place}" for place in range(1, len(steps)))
    return "\n".join([*lines, _END.format(nodes=nodes, edges=edges)])


def path_parameters(
    steps: Sequence[PathStep], units: Mapping[str, NamedUnits], *, prompt_set: str | None, limit: int
) -> dict[str, Any]:
    """Returns the parameters of `path_cypher`."""
    given: dict[str, Any] = {"set": prompt_set or "", "limit": limit}
    for place, step in enumerate(steps):
        if step.unit is not None:
            given[f"unit{place}"] = list(units[step.unit].ids)
        if step.port is not None:
            given[f"port{place}"] = step.port
    return given


def anchor_of(steps: Sequence[PathStep], units: Mapping[str, NamedUnits]) -> int:
    """Returns the place of the named unit with the fewest trace nodes."""
    return min((units[step.unit].nodes, place) for place, step in enumerate(steps) if step.unit is not None)[1]
