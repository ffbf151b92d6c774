"""Queries over a synthetic database whose answer is known: what is planted is found."""

from collections.abc import Sequence

import pytest
from neo4j import Driver

from circuitbase.evaluation.background_graph import DatabaseSize
from circuitbase.evaluation.planted_database import PlantedDatabase, PlantedTrace
from circuitbase.evaluation.planted_draws import Sampling
from circuitbase.evaluation.planted_mechanisms import (
    contrast_in_presence,
    contrast_in_strength,
    half_and_half,
    split_feature,
    subcircuit,
    through_other_nodes,
    two_routes,
)
from circuitbase.queries.circuit import global_circuit
from circuitbase.queries.circuit_paths import path_support
from circuitbase.queries.contrast_over_traces import ContrastTest, contrast_over_traces
from circuitbase.queries.relabelling import by_group
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.selection import labelled, whole_set
from circuitbase.queries.selection_sums import selection_sums
from circuitbase.queries.similar_traces import clustered, trace_influence
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.planted_values import put_planted

SMALL = DatabaseSize(traces=40, edges=100)
CONTRASTS = (
    *(contrast_in_presence(f"presence {number}") for number in range(4)),
    *(contrast_in_strength(f"strength {number}") for number in range(4)),
)
RATE = 0.1


def truly_in(traces: Sequence[PlantedTrace], database: PlantedDatabase) -> dict[tuple[str, str, int], list[int]]:
    """Returns the numbers of the traces that each planted edge was drawn for."""
    found: dict[tuple[str, str, int], list[int]] = {edge.edge: [] for edge in database.planted.edges}
    for each in traces:
        for edge in database.drawn_influence(each.drawn):
            found[edge].append(each.drawn.number)
    return found


def test_a_planted_subcircuit_is_in_the_global_circuit_and_half_and_half_is_no_path(
    database: Driver, settings: Settings
) -> None:
    planted = PlantedDatabase(SMALL, mechanisms=(subcircuit(), half_and_half(), through_other_nodes(), split_feature()))
    traces = put_planted(database, settings, "planted", planted)
    truth, n = planted.planted, SMALL.traces
    drawn_in = truly_in(traces, planted)
    with database.session() as session:
        rollup = choose_rollup(session, "planted", configuration=None)
        circuit = global_circuit(session, rollup, min_presence=0.2)
        selection = whole_set(session, rollup)
        store = TraceStore(settings.store_url)
        support = path_support(session, store, selection, list(drawn_in), most_traces=None)
        ids = truth.unit
        copies = {ids["split feature", copy]: "one feature" for copy in ("f1", "f2")}
        united = selection_sums(session, store, selection, relabelling=by_group(copies))

    found = {(edge.source, edge.target, edge.port): edge for edge in circuit.edges}
    assert drawn_in.keys() <= found.keys()
    influence = dict.fromkeys(drawn_in, 0.0)
    for each in traces:
        for edge, value in planted.drawn_influence(each.drawn).items():
            influence[edge] += value / n
    for edge in truth.edges:
        assert found[edge.edge].traces == len(drawn_in[edge.edge])
        assert found[edge.edge].presence.value == len(drawn_in[edge.edge]) / n
        assert found[edge.edge].presence.value == pytest.approx(edge.presence[0], abs=0.24)  # three deviations
        assert found[edge.edge].mean_influence == pytest.approx(influence[edge.edge], rel=1e-5)
    # the strongest edges are planted ones
    assert {(edge.source, edge.target, edge.port) for edge in circuit.edges[:3]} <= drawn_in.keys()

    realised = {(path.first, path.second): path for path in support.found}
    assert support.paths == len(truth.paths)
    for path in truth.paths:
        both = len(set(drawn_in[path.first]) & set(drawn_in[path.second]))
        if path.support == 0:
            assert (path.first, path.second) not in realised
        else:
            assert realised[path.first, path.second].traces == both
    apart = [path for path in truth.paths if path.support == 0]
    assert {path.mechanism for path in apart} == {"half and half", "through other nodes"}
    # here only the nodes tell: the edges are in the same traces
    (beside,) = [path for path in apart if path.mechanism == "through other nodes"]
    assert len(drawn_in[beside.first]) == len(drawn_in[beside.second]) > 0.6 * n

    place = united.units.index("one feature")
    sums = united.edge_sums
    (of_both,) = sums.traces[(sums.target == place) & (sums.source == united.units.index(ids["split feature", "a"]))]
    assert of_both == sum(len(drawn_in[edge.edge]) for edge in truth.of("split feature") if edge.edge[1] in copies)


def test_two_planted_routes_are_two_clusters(database: Driver, settings: Settings) -> None:
    planted = PlantedDatabase(SMALL, mechanisms=(two_routes(share=0.5),))
    traces = put_planted(database, settings, "planted", planted)
    route = {each.trace.metadata.trace_id: each.drawn.mechanisms[0].form for each in traces}
    with database.session() as session:
        selection = whole_set(session, choose_rollup(session, "planted", configuration=None))
        influence = trace_influence(session, TraceStore(settings.store_url), selection)
        found = clustered(session, influence, number=None, most=3)
    assert [len({route[trace.id] for trace in cluster.traces}) for cluster in found.clusters] == [1, 1]
    edges = {edge.edge for edge in planted.planted.edges}
    assert all(each.edge in edges for cluster in found.clusters for each in cluster.distinctions)


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(per_cluster=2, labels_within_clusters=True)])
def test_every_planted_contrast_is_found_in_a_database(
    database: Driver, settings: Settings, sampling: Sampling
) -> None:
    planted = PlantedDatabase(SMALL, mechanisms=(*CONTRASTS[:2], *CONTRASTS[4:6]), sampling=sampling)
    put_planted(database, settings, "planted", planted)
    with database.session() as session:
        every = whole_set(session, choose_rollup(session, "planted", configuration=None))
        sides = labelled(every, side="A"), labelled(every, side="B")
        options = ContrastTest(permutations=1_999)
        found = contrast_over_traces(session, TraceStore(settings.store_url), *sides, options=options)
    discoveries = {(edge.source, edge.target, edge.port): edge for edge in found.discoveries(rate=RATE)}
    assert planted.planted.differing <= discoveries.keys()
    assert len(discoveries) <= 6
    assert all((discoveries[edge].effect or 0) > 0.8 for edge in planted.planted.differing)
