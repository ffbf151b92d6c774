"""Sums over traces computed the slow way, from the trace files alone: what a rollup has to equal."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.schema.declaration import relationship
from circuitbase.schema.kinds import NodeKind

EDGE_SUMS = [p.name for p in relationship("DRIVES").properties if p.name not in ("key", "rollup", "port")]
UNIT_SUMS = [p.name for p in relationship("SEEN_IN").properties if p.name not in ("key", "rollup")]
COUNTS = {"traces", "positive", "same_position", "active_traces", "traced"}


@dataclass
class Sums:
    """Edge sums by (source, target, port), unit sums by unit; each a dict by property name."""

    edges: dict[tuple[str, str, int], dict[str, float]] = field(default_factory=dict)
    units: dict[str, dict[str, float]] = field(default_factory=dict)


def expected_sums(traces: Iterable[Trace]) -> Sums:
    """Returns the sums over traces by plain loops over their nodes, edges and active features."""
    edges: dict = defaultdict(lambda: dict.fromkeys(EDGE_SUMS, 0.0))
    units: dict = defaultdict(lambda: dict.fromkeys(UNIT_SUMS, 0.0))
    for trace in traces:
        for key, observed in observed_edges(trace).items():
            sums, weight = edges[key], observed["weight"]
            sums["traces"] += 1
            sums["weight_sum"] += weight
            sums["weight_square_sum"] += weight**2
            sums["absolute_sum"] += abs(weight)
            sums["share_sum"] += observed["share"]
            sums["share_square_sum"] += observed["share"] ** 2
            sums["influence_sum"] += observed["influence"]
            sums["influence_square_sum"] += observed["influence"] ** 2
            sums["positive"] += weight > 0
            sums["target_weighted_sum"] += observed["target_weighted"]
            sums["same_position"] += observed["same_position"] > 0
        for unit, observed in observed_units(trace).items():
            sums = units[unit]
            sums["active_traces"] += observed["active"] > 0
            sums["traced"] += observed["nodes"] > 0
            sums["activation_sum"] += observed["activation"]
            sums["influence_sum"] += observed["influence"]
            sums["influence_square_sum"] += observed["influence"] ** 2
    return Sums(dict(edges), dict(units))


def observed_edges(trace: Trace) -> dict:
    """Returns what one trace shows of each unit pair, summed over position pairs."""
    graph, unit = trace.graph, node_units(trace)
    found: dict = defaultdict(lambda: defaultdict(float))
    for edge in range(graph.n_edges):
        source, target = int(graph.edge_source[edge]), int(graph.edge_target[edge])
        weight = float(graph.edge_weight[edge])
        observed = found[unit[source], unit[target], int(graph.edge_port[edge])]
        observed["weight"] += weight
        observed["share"] += abs(weight) / float(graph.node_absolute_input[target])
        observed["influence"] += float(graph.edge_influence[edge])
        observed["target_weighted"] += float(graph.node_activation[target]) * weight
        observed["same_position"] += graph.node_position[source] == graph.node_position[target]
    return found


def observed_units(trace: Trace) -> dict:
    """Returns what one trace shows of each unit, summed over positions."""
    graph = trace.graph
    found: dict = defaultdict(lambda: defaultdict(float))
    for node, unit in enumerate(node_units(trace)):
        observed = found[unit]
        observed["nodes"] += 1
        observed["influence"] += float(graph.node_influence[node])
        if graph.node_kind[node] != NodeKind.FEATURE and not graph.node_silent[node]:
            observed["active"] += 1
            observed["activation"] += float(graph.node_activation[node])
    for layer, feature, value in zip(graph.active_layer, graph.active_unit, graph.active_value, strict=True):
        observed = found[trace.unit_id(NodeKind.FEATURE, int(layer), int(feature))]
        observed["active"] += 1
        observed["activation"] += float(value)
    return found


def node_units(trace: Trace) -> list[str]:
    """Returns the unit id of every node."""
    graph = trace.graph
    columns = zip(graph.node_kind, graph.node_layer, graph.node_unit, strict=True)
    return [trace.unit_id(NodeKind(kind), int(layer), int(unit)) for kind, layer, unit in columns]


def stored_sums(driver: Driver, prompt_set: str) -> Sums:
    """Returns the sums that the rollups over a set hold; the set must have one configuration."""
    edges = driver.execute_query(
        "MATCH (r:Rollup)-[:OVER]->(:PromptSet {name: $set}) "
        "MATCH (s:Unit)-[d:DRIVES {rollup: r.id}]->(t:Unit) RETURN s.id AS s, t.id AS t, properties(d) AS d",
        set=prompt_set,
    ).records
    units = driver.execute_query(
        "MATCH (u:Unit)-[d:SEEN_IN]->(:Rollup)-[:OVER]->(:PromptSet {name: $set}) RETURN u.id AS u, properties(d) AS d",
        set=prompt_set,
    ).records
    return Sums(
        edges={(row["s"], row["t"], row["d"]["port"]): {n: row["d"][n] for n in EDGE_SUMS} for row in edges},
        units={row["u"]: {n: row["d"][n] for n in UNIT_SUMS} for row in units},
    )


def assert_sums_equal(found: Sums, expected: Sums) -> None:
    """Fails unless counts are equal and floats agree to rounding of what was added and taken away again."""
    for kind in ("edges", "units"):
        here, there = getattr(found, kind), getattr(expected, kind)
        assert here.keys() == there.keys(), f"{kind}: {len(here.keys() ^ there.keys())} in one only"
        for key, sums in there.items():
            for name, value in sums.items():
                if name in COUNTS:
                    assert here[key][name] == value, (kind, key, name)
                else:
                    assert abs(here[key][name] - value) <= 1e-9 * max(1, abs(value)), (kind, key, name)
