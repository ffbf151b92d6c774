import numpy as np
import pytest

from circuitbase.errors import InputError
from circuitbase.queries.near import traces_beside
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.selection import whole_set
from circuitbase.queries.similar_traces import TraceInfluence, clustered, near_traces, overlap, trace_influence
from circuitbase.store.trace_store import TraceStore
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import observed_edges


def influence_of(stored: StoredSets, name: str = "capital-en") -> TraceInfluence:
    with stored.driver.session() as session:
        selection = whole_set(session, choose_rollup(session, name, configuration=None))
        return trace_influence(session, TraceStore(stored.settings.store_url), selection)


def expected_likeness(first: dict, second: dict) -> float:
    shares = []
    for found in (first, second):
        total = sum(each["influence"] for each in found.values())
        shares.append({edge: each["influence"] / total for edge, each in found.items()})
    edges = shares[0].keys() | shares[1].keys()
    least = sum(min(share.get(edge, 0.0) for share in shares) for edge in edges)
    return float(least / sum(max(share.get(edge, 0.0) for share in shares) for edge in edges))


def test_near_traces_share_most_influence(stored_sets: StoredSets) -> None:
    found = influence_of(stored_sets)
    of_trace = {trace.metadata.trace_id: observed_edges(trace) for trace in stored_sets.first}
    one = found.selection.traces[2].id
    with stored_sets.driver.session() as session:
        near = near_traces(session, found, one, most=5)
    assert [each.likeness for each in near] == sorted((each.likeness for each in near), reverse=True)
    assert len(near) == 5 and one not in {each.trace.id for each in near}
    for each in near:
        assert each.likeness == pytest.approx(expected_likeness(of_trace[one], of_trace[each.trace.id]), rel=1e-5)
        assert each.text
    best = max(expected_likeness(of_trace[one], other) for id, other in of_trace.items() if id != one)
    assert near[0].likeness == pytest.approx(best, rel=1e-5)
    with stored_sets.driver.session() as session, pytest.raises(InputError, match="is not among the traces"):
        near_traces(session, found, "f" * 64, most=5)


def test_clusters_hold_every_trace_once_and_say_what_they_have_more_of(stored_sets: StoredSets) -> None:
    found = influence_of(stored_sets)
    with stored_sets.driver.session() as session:
        parted = clustered(session, found, number=3, most=4)
        alone = clustered(session, found, number=1, most=4)
        with pytest.raises(InputError, match="can be parted into 1 to 8 clusters, got 9"):
            clustered(session, found, number=9, most=4)
    assert sorted(trace.id for each in parted.clusters for trace in each.traces) == sorted(
        trace.id for trace in found.selection.traces
    )
    sizes = [len(each.traces) for each in parted.clusters]
    assert sizes == sorted(sizes, reverse=True) and sum(sizes) == 8
    told = [each for cluster in parted.clusters for each in cluster.distinctions]
    assert told and all(each.effect > 0 for each in told)
    assert (len(alone.clusters), alone.silhouette, alone.clusters[0].distinctions) == (1, 0.0, ())


def test_a_set_overlaps_with_itself_wholly_and_with_others_in_part(stored_sets: StoredSets) -> None:
    first, second = influence_of(stored_sets), influence_of(stored_sets, "capital-fr")
    found = overlap([first, second, first])
    assert found[0, 2] == pytest.approx(1.0)
    assert 0 < found[0, 1] < 1
    assert np.array_equal(found, found.T)


def test_a_trace_is_compared_with_those_of_its_configuration(stored_sets: StoredSets) -> None:
    id = stored_sets.first[0].metadata.trace_id

    def beside(name: str, prompt_set: str | None = None) -> tuple[str, int]:
        with stored_sets.driver.session() as session:
            found, selection = traces_beside(stored_sets.driver, session, name, prompt_set=prompt_set, database="neo4j")
        return found, len(selection.traces)

    assert beside(id[:10]) == (id, 14)
    assert beside(id, "capital-fr") == (id, 7)
    for name, sentence in (("abc", "at least the first 6 digits"), ("f" * 20, "no trace begins with")):
        with pytest.raises(InputError, match=sentence):
            beside(name)
    with pytest.raises(InputError, match="there is no prompt set 'nowhere'"):
        beside(id, "nowhere")
