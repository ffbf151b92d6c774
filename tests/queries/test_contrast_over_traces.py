from dataclasses import replace

import numpy as np
import pytest
from neo4j import Driver

from circuitbase.errors import InputError
from circuitbase.graph.trace import Trace
from circuitbase.queries.contrast_over_traces import (
    ContrastTest,
    TraceContrast,
    contrast_over_traces,
    hedges_g,
    matched_by_length,
)
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.selection import Selection, labelled, whole_set
from circuitbase.schema.kinds import NodeKind
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.options import TraceOptions
from tests.queries.labelled_sets import put_labelled
from tests.synthetic import synthetic_trace, with_arrays

N_TRACES = 24


def without_in_edges(trace: Trace) -> Trace:
    """Returns the trace without what acts on its first output: an edge set that the second language lacks."""
    graph = trace.graph
    output = int(np.flatnonzero(graph.node_kind == NodeKind.OTHER_OUTPUT)[0])
    keep = (graph.edge_target != output) | (graph.node_kind[graph.edge_source] != NodeKind.FEATURE)
    arrays = {name: getattr(graph, name)[keep] for name in graph.arrays() if name.startswith("edge_")}
    return with_arrays(trace, **arrays)


def traces(*, differ: bool) -> list[Trace]:
    options = TraceOptions(target="roles")
    made = [
        synthetic_trace(seed, n_features=6, token_ids=(0, 5, 6, 7, 8 + seed), options=options, edge_probability=0.8)
        for seed in range(N_TRACES)
    ]
    return [without_in_edges(trace) if differ and number % 2 else trace for number, trace in enumerate(made)]


def stored(database: Driver, settings: Settings, *, differ: bool, per_cluster: int) -> Selection:
    put_labelled(database, settings, "words", traces(differ=differ), per_cluster=per_cluster)
    with database.session() as session:
        return whole_set(session, choose_rollup(session, "words", configuration=None))


def compared(
    database: Driver, settings: Settings, first: Selection, second: Selection, options: ContrastTest
) -> TraceContrast:
    with database.session() as session:
        return contrast_over_traces(session, TraceStore(settings.store_url), first, second, options=options)


@pytest.mark.parametrize("per_cluster", [1, 2])
def test_what_one_language_lacks_is_found_and_nothing_else(
    database: Driver, settings: Settings, per_cluster: int
) -> None:
    every = stored(database, settings, differ=True, per_cluster=per_cluster)
    sides = labelled(every, language="en"), labelled(every, language="fr")
    found = compared(database, settings, *sides, ContrastTest(permutations=999))
    assert found.paired_clusters == (12 if per_cluster == 2 else 0)
    discoveries = found.discoveries(rate=0.05)
    planted = [edge for edge in discoveries if edge.target_facts.kind == "RoleOutput" and "/F" in edge.source]
    assert len(planted) >= 5 and len(planted) >= 0.8 * len(discoveries)
    assert all(edge.second_presence.value == 0 and edge.first_presence.value > 0 for edge in planted)
    assert all(edge.first_share > edge.second_share == 0 and (edge.effect or 0) > 0 for edge in planted)
    assert [edge.q for edge in found.edges] == sorted(edge.q for edge in found.edges)
    assert all(edge.q >= edge.p - 1e-12 for edge in found.edges)


def test_shuffled_labels_give_false_discoveries_at_the_nominal_rate(database: Driver, settings: Settings) -> None:
    every = stored(database, settings, differ=False, per_cluster=1)
    random = np.random.default_rng(3)
    with_any = 0
    small: list[float] = []
    for seed in range(8):
        order = random.permutation(N_TRACES)
        sides = [
            replace(every, traces=tuple(every.traces[place] for place in sorted(half.tolist())), rollup=None)
            for half in (order[:12], order[12:])
        ]
        found = compared(database, settings, *sides, ContrastTest(permutations=199, seed=seed))
        with_any += bool(found.discoveries(rate=0.05))
        small += [edge.p for edge in found.edges]
    assert with_any <= 2  # of eight, each with probability 0.05 under the null
    assert np.mean(np.array(small) <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_lengths_are_matched_by_drawing(database: Driver, settings: Settings) -> None:
    every = stored(database, settings, differ=False, per_cluster=1)
    longer = replace(every, traces=tuple(replace(each, n_tokens=9) for each in every.traces[:4]) + every.traces[4:7])
    first, second = matched_by_length(every, longer, seed=1)
    assert [trace.n_tokens for trace in first.traces] == [trace.n_tokens for trace in second.traces] == [5, 5, 5]
    assert matched_by_length(every, longer, seed=1)[0] == first
    with pytest.raises(InputError, match=r"no prompt of words is as long .*\[5\] against \[9\] tokens"):
        matched_by_length(every, replace(longer, traces=longer.traces[:4]), seed=1)


def test_selections_that_cannot_be_compared_are_refused(database: Driver, settings: Settings) -> None:
    every = stored(database, settings, differ=False, per_cluster=100)
    english, french = labelled(every, language="en"), labelled(every, language="fr")
    with pytest.raises(InputError, match="are one cluster"):
        compared(database, settings, english, french, ContrastTest())
    with pytest.raises(InputError, match="different configurations"):
        compared(database, settings, english, replace(french, configuration="other"), ContrastTest())
    with pytest.raises(InputError, match="at most 3 are summed"):
        one = replace(english, traces=tuple(replace(each, cluster=each.id) for each in english.traces))
        compared(database, settings, one, french, ContrastTest(most_traces=3))


def test_hedges_g_is_the_corrected_difference_in_deviations() -> None:
    first, second = np.array([2.0, 4.0]), np.array([1.0, 3.0])
    assert hedges_g(first, second) == pytest.approx(1 / np.sqrt(2) * (1 - 3 / 7))
    assert hedges_g(np.array([1.0, 1.0]), np.array([1.0])) is None
    assert hedges_g(np.array([1.0]), np.array([2.0])) is None
