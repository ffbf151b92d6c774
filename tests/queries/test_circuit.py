import math

import pytest

from circuitbase.errors import InputError
from circuitbase.queries.circuit import CircuitEdge, GlobalCircuit, global_circuit, least_traces
from circuitbase.queries.intervals import wilson
from circuitbase.queries.rollup_choice import choose_rollup
from circuitbase.queries.token_labels import peak_token_labels
from circuitbase.tracing.options import TraceOptions
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import expected_sums, observed_edges
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces


def read(stored: StoredSets, **options: object) -> GlobalCircuit:
    with stored.driver.session() as session:
        return global_circuit(session, choose_rollup(session, "capital-en", configuration=None), **options)


def test_an_edge_is_described_by_its_values_in_each_trace(stored_sets: StoredSets) -> None:
    found = read(stored_sets, min_presence=0.0, max_edges=100_000)
    per_trace = [observed_edges(trace) for trace in stored_sets.first]
    activation = {unit: sums["activation_sum"] for unit, sums in expected_sums(stored_sets.first).units.items()}
    assert found.n_edges == len(found.edges) == len({key for observed in per_trace for key in observed})
    for edge in found.edges:
        _check_edge(
            edge, [o[edge.source, edge.target, 0] for o in per_trace if (edge.source, edge.target, 0) in o], activation
        )


def _check_edge(edge: CircuitEdge, observed: list, activation: dict[str, float]) -> None:
    weights = [each["weight"] for each in observed]
    n, mean = len(observed), sum(weights) / len(observed)
    positive = sum(weight > 0 for weight in weights)
    assert (edge.traces, edge.presence) == (n, wilson(n, 8))
    assert edge.mean_weight == pytest.approx(mean)
    assert edge.weight_deviation == pytest.approx(math.sqrt(sum((w - mean) ** 2 for w in weights) / n), abs=1e-6)
    assert edge.mean_share == pytest.approx(sum(each["share"] for each in observed) / n)
    assert edge.mean_influence == pytest.approx(sum(each["influence"] for each in observed) / 8)
    assert edge.sign_agreement.value == pytest.approx(max(positive, n - positive) / n)
    assert edge.same_position == pytest.approx(sum(each["same_position"] > 0 for each in observed) / n)
    wanted = sum(each["target_weighted"] for each in observed) / activation[edge.target]
    assert edge.target_weighted_effect == pytest.approx(wanted)
    assert edge.presence.value <= edge.conditional_presence.value <= 1


def test_units_and_edges_below_the_minimum_presence_are_left_out(stored_sets: StoredSets) -> None:
    everything, frequent = read(stored_sets, min_presence=0.0), read(stored_sets, min_presence=0.5)
    assert {edge.source for edge in frequent.edges} <= {edge.source for edge in everything.edges}
    assert frequent.edges == tuple(edge for edge in everything.edges if edge.traces >= 4)
    assert frequent.units == tuple(unit for unit in everything.units if unit.traced >= 4)
    assert 0 < frequent.n_edges < everything.n_edges


def test_edges_rank_by_mean_influence_or_by_mean_share(stored_sets: StoredSets) -> None:
    by_influence = [edge.mean_influence for edge in read(stored_sets, min_presence=0.0).edges]
    by_share = [edge.mean_share for edge in read(stored_sets, min_presence=0.0, by="share").edges]
    assert by_influence == sorted(by_influence, reverse=True)
    assert by_share == sorted(by_share, reverse=True)


def test_limits_keep_the_first_and_the_counts_say_how_many_there_are(stored_sets: StoredSets) -> None:
    whole, cut = read(stored_sets), read(stored_sets, max_units=3, max_edges=2)
    assert cut.units == whole.units[:3] and cut.edges == whole.edges[:2]
    assert (cut.n_units, cut.n_edges) == (whole.n_units, whole.n_edges)


def test_an_unknown_set_and_one_without_traces_get_a_sentence_each(stored_sets: StoredSets) -> None:
    with stored_sets.driver.session() as session:
        with pytest.raises(InputError, match="no prompt set 'capitals'; `circuitbase sets` lists them"):
            choose_rollup(session, "capitals", configuration=None)
        session.run("CREATE (:PromptSet {name: 'empty', created_at: datetime()})").consume()
        with pytest.raises(InputError, match="'empty' has no stored traces yet"):
            choose_rollup(session, "empty", configuration=None)


def test_configurations_never_mix(stored_sets: StoredSets) -> None:
    from circuitbase.queries.rollup import roll_up
    from circuitbase.store.trace_store import TraceStore

    other = TraceOptions(node_threshold=0.5)
    put_traces(stored_sets.driver, stored_sets.settings, "capital-en", synthetic_traces(2, options=other))
    store = TraceStore(stored_sets.settings.store_url)
    roll_up(stored_sets.driver, store=store, prompt_set="capital-en", database="neo4j")
    with stored_sets.driver.session() as session:
        with pytest.raises(
            InputError, match=r"(?s)under 2 configurations, which never mix.*\(8 traces\)|\(2 traces\)"
        ) as several:
            choose_rollup(session, "capital-en", configuration=None)
        for line in str(several.value).splitlines()[1:]:
            name = line.strip().rpartition(" (")[0]
            assert choose_rollup(session, "capital-en", configuration=name).configuration_name == name


def test_a_presence_outside_of_nought_to_one_is_refused() -> None:
    with pytest.raises(InputError, match="fraction from 0 to 1, got 30"):
        least_traces(8, min_presence=30.0)
    assert [least_traces(10, min_presence=p) for p in (0.0, 0.3, 0.31, 1.0)] == [1, 3, 4, 10]


def test_a_features_label_is_the_commonest_token_at_its_peaks(stored_sets: StoredSets) -> None:
    with stored_sets.driver.session() as session:
        rows = session.run(
            "MATCH (p:Prompt)-[a:ACTIVATES]->(u:Feature) RETURN u.id AS unit, p.tokens[a.peak_position] AS token"
        ).data()
        units = sorted({row["unit"] for row in rows})
        labels = peak_token_labels(session, units, tokens=1)
    for unit in units:
        tokens = [row["token"] for row in rows if row["unit"] == unit]
        assert tokens.count(next(t for t in tokens if t.strip() == labels[unit])) == max(map(tokens.count, tokens))
