import pytest
from neo4j import Driver

from circuitbase.errors import InputError
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.selection import Selection, labelled, selected_by_cypher, whole_set
from circuitbase.settings import Settings
from circuitbase.tracing.options import TraceOptions
from tests.queries.labelled_sets import labelled_traces, put_labelled
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces


@pytest.fixture
def cities(database: Driver, settings: Settings) -> Selection:
    put_labelled(database, settings, "cities", labelled_traces())
    with database.session() as session:
        return whole_set(session, choose_rollup(session, "cities", configuration=None))


def by_cypher(database: Driver, text: str, configuration: str | None = None) -> Selection:
    return selected_by_cypher(database, text, database="neo4j", configuration=configuration)


def test_a_whole_set_says_of_each_trace_what_the_set_says_of_its_prompt(cities: Selection) -> None:
    assert len(cities.traces) == 8 and cities.rollup is not None
    assert [trace.id for trace in cities.traces] == sorted(trace.id for trace in cities.traces)
    first = next(trace for trace in cities.traces if trace.labels["number"] == 0)
    assert first.cluster == "cluster 0" and first.labels == {"language": "en", "number": 0}
    assert (first.roles, first.n_tokens) == ({"city": [1], "state": [2]}, 5)
    assert len(set(cities.clusters)) == 4


def test_labels_choose_traces(cities: Selection) -> None:
    french = labelled(cities, language="fr")
    assert (len(french.traces), french.rollup, french.name) == (4, None, "cities [language=fr]")
    assert len(labelled(cities, language="fr", number=3).traces) == 1
    with pytest.raises(InputError, match=r"no trace of cities has language=de; there is language: en \(4\), fr \(4\)"):
        labelled(cities, language="de")
    with pytest.raises(InputError, match=r"tone: no trace has it \(labels: language, number\)"):
        labelled(cities, tone="rude")


@pytest.mark.parametrize("returned", ["t", "t.id", "t.id AS id, t.n_edges AS edges"])
def test_any_cypher_that_returns_traces_chooses_them(cities: Selection, database: Driver, returned: str) -> None:
    found = by_cypher(database, f"MATCH (t:Trace) RETURN {returned} ORDER BY t.id DESC LIMIT 3")
    assert [trace.id for trace in found.traces] == [trace.id for trace in cities.traces[-3:]]
    assert found.traces == cities.traces[-3:]
    assert (found.configuration, found.rollup, found.name) == (cities.configuration, None, "3 traces by Cypher")


def test_cypher_without_traces_is_refused(cities: Selection, database: Driver) -> None:
    with pytest.raises(InputError, match="none of its 8 rows is one"):
        by_cypher(database, "MATCH (p:Prompt) RETURN p")
    with pytest.raises(InputError, match="none of its 0 rows is one"):
        by_cypher(database, "MATCH (t:Trace {id: 'x'}) RETURN t")


def test_traces_of_several_configurations_do_not_mix(cities: Selection, database: Driver, settings: Settings) -> None:
    others = synthetic_traces(2, first_seed=50, options=TraceOptions(node_threshold=0.5))
    put_traces(database, settings, "others", others)
    with pytest.raises(InputError, match=r"are under 2; choose with --configuration out of: .*\(8 traces\)"):
        by_cypher(database, "MATCH (t:Trace) RETURN t")
    chosen = by_cypher(database, "MATCH (t:Trace) RETURN t", others[0].metadata.configuration_id[:12])
    assert len(chosen.traces) == 2
