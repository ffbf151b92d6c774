"""One hash over what is stored, to tell whether two databases hold the same.

Over ids, counts and the float32 values of traces, bit for bit; rollup sums to six significant
digits, as sums in another order differ in their last bits. The order of insertion does not matter.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from neo4j import Driver, Session

from circuitbase.queries.rollup_choice import check_set
from circuitbase.schema.declaration import relationship
from circuitbase.schema.identity import canonical_json

NOTHING = 1e-9
NO_INFLUENCE = 1e-12

_TRACES = """
MATCH (trace:Trace)-[:OF_PROMPT]->(prompt:Prompt), (trace)-[:UNDER]->(configuration:Configuration)
WHERE $set IS NULL OR EXISTS { (prompt)-[:IN_SET]->(:PromptSet {name: $set}) }
RETURN trace.id AS id, trace.array_digest AS array_digest, prompt.id AS prompt, configuration.id AS configuration
ORDER BY id
"""
_NODES = """
MATCH (:Trace {id: $trace})-[:CONTAINS]->(node:TraceNode)-[:OF]->(unit:Unit)
WITH node, unit ORDER BY node.index
RETURN collect(unit.id) AS unit, collect(node.position) AS position, collect(node.activation) AS activation,
       collect(node.influence) AS influence, collect(coalesce(node.preactivation, 0.0)) AS preactivation,
       collect(coalesce(node.bias_effect, 0.0)) AS bias_effect, collect(coalesce(node.rest, 0.0)) AS rest,
       collect(coalesce(node.absolute_input, 0.0)) AS absolute_input
"""
_EDGES = """
MATCH (:Trace {id: $trace})-[:CONTAINS]->(source:TraceNode)-[edge:AFFECTS]->(target:TraceNode)
RETURN collect(source.index) AS source, collect(target.index) AS target, collect(edge.weight) AS weight,
       collect(edge.influence) AS influence
"""
_LINKS = """
MATCH (:Trace {id: $trace})-[:CONTAINS]->(node:TraceNode)
WHERE node.key_position IS NOT NULL
WITH node ORDER BY node.index
RETURN collect([node.index, node.key_position]) AS links
"""
_PAIRS = """
MATCH (:Trace {id: $trace})-[:CONTAINS]->(source:TraceNode)-[pair:LOOKS_FOR]->(target:TraceNode)
RETURN collect(pair.link) AS link, collect(source.index) AS source, collect(target.index) AS target,
       collect(pair.score) AS score, collect(pair.attention) AS attention
"""
_MEMBERS = """
MATCH (prompt:Prompt)-[:IN_SET]->(set:PromptSet)
WHERE $set IS NULL OR set.name = $set
RETURN set.name AS set, prompt.id AS prompt ORDER BY set, prompt
"""
_ROLLUPS = """
MATCH (rollup:Rollup)-[:OVER]->(set:PromptSet)
WHERE $set IS NULL OR set.name = $set
RETURN rollup.id AS id, rollup.traces AS traces ORDER BY id
"""
_EDGE_SUMS = """
MATCH ()-[sums:DRIVES]->() WHERE sums.rollup = $rollup AND sums.traces > 0
RETURN properties(sums) AS sums ORDER BY sums.key
"""
_UNIT_SUMS = """
MATCH ()-[sums:SEEN_IN]->(:Rollup {id: $rollup})
RETURN properties(sums) AS sums ORDER BY sums.key
"""


@dataclass(frozen=True)
class Digest:
    """A hash, and how much went into it."""

    digest: str
    traces: int
    rollups: int


def digest(driver: Driver, *, prompt_set: str | None, database: str) -> Digest:
    """Returns the hash of one prompt set's traces and sums, or of all where `prompt_set` is None.

    Raises InputError if there is no such set. Reads one trace at a time.
    """
    whole = hashlib.sha256()
    traces = rollups = 0
    with driver.session(database=database, default_access_mode="READ") as session:
        if prompt_set is not None:
            check_set(session, prompt_set)
        for row in list(session.run(_TRACES, set=prompt_set)):
            whole.update(canonical_json(row.data()).encode())
            whole.update(_trace_bytes(session, row["id"]))
            traces += 1
        for row in session.run(_MEMBERS, set=prompt_set):
            whole.update(canonical_json(row.data()).encode())
        for row in list(session.run(_ROLLUPS, set=prompt_set)):
            if row["traces"] == 0:
                continue
            whole.update(canonical_json(row.data()).encode())
            for line in _rollup_lines(session, row["id"]):
                whole.update(line)
            rollups += 1
    return Digest(digest=whole.hexdigest(), traces=traces, rollups=rollups)


def _trace_bytes(session: Session, trace: str) -> bytes:
    nodes = session.run(_NODES, trace=trace).single(strict=True)
    edges = session.run(_EDGES, trace=trace).single(strict=True)
    source, target = np.array(edges["source"], dtype=np.int32), np.array(edges["target"], dtype=np.int32)
    order = np.lexsort((source, target))
    parts = [canonical_json(nodes["unit"]).encode(), np.array(nodes["position"], dtype=np.int32).tobytes()]
    parts += [
        np.array(nodes[name], dtype=np.float32).tobytes()
        for name in ("activation", "influence", "preactivation", "bias_effect", "rest", "absolute_input")
    ]
    parts += [source[order].tobytes(), target[order].tobytes()]
    parts += [np.array(edges[name], dtype=np.float32)[order].tobytes() for name in ("weight", "influence")]
    return b"".join([*parts, *_pair_bytes(session, trace)])


def _pair_bytes(session: Session, trace: str) -> Iterator[bytes]:
    """Yields what explains attention; nothing for a trace without, whose hash then is what it always was."""
    links = session.run(_LINKS, trace=trace).single(strict=True)["links"]
    if not links:
        return
    yield canonical_json(links).encode()
    pairs = session.run(_PAIRS, trace=trace).single(strict=True)
    ends = [np.array(pairs[name], dtype=np.int32) for name in ("link", "source", "target")]
    order = np.lexsort(ends[::-1])
    yield from (column[order].tobytes() for column in ends)
    yield from (np.array(pairs[name], dtype=np.float32)[order].tobytes() for name in ("score", "attention"))


def _rollup_lines(session: Session, rollup: str) -> Iterator[bytes]:
    for text, kind in ((_EDGE_SUMS, "DRIVES"), (_UNIT_SUMS, "SEEN_IN")):
        names = [declared.name for declared in relationship(kind).properties]
        for row in session.run(text, rollup=rollup):
            sums = dict(row["sums"])
            # A sum that cancels to nothing keeps only its rounding, which depends on the order.
            if kind == "DRIVES" and abs(sums["weight_sum"]) < NOTHING * sums["absolute_sum"]:
                sums["weight_sum"] = 0.0
            # Influences are parts of 1, so what is smaller than this is rounding too.
            for name in ("influence_sum", "influence_square_sum"):
                sums[name] = 0.0 if abs(sums[name]) < NO_INFLUENCE else sums[name]
            values = [sums.get(name) for name in names]
            yield canonical_json([f"{value:.5e}" if isinstance(value, float) else value for value in values]).encode()
