from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from circuitbase.graph.trace import Trace
from circuitbase.queries import library
from circuitbase.queries.reading import run_read_only
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import expected_sums, node_units, observed_edges, observed_units

SEARCHES = ("feature-prompts", "unit-prompts", "edge-prompts", "path-prompts", "universal-edges", "silent-features")
Row = dict[str, Any]


def found(stored: StoredSets, name: str, **given: Any) -> tuple[Row, ...]:
    query = library.load(name)
    return run_read_only(stored.driver, query.text, query.arguments({"limit": 1000, **given}), database="neo4j").rows


def by_trace(rows: tuple[Row, ...], column: str) -> dict[str, Any]:
    return {row["trace"]: row[column] for row in rows}


def close(expected: Mapping[str, float]) -> Any:
    return pytest.approx(dict(expected), rel=1e-5)


def operators(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield str(plan["operatorType"]).partition("@")[0], str(plan.get("args", {}).get("Details", ""))
    for child in plan.get("children", ()):
        yield from operators(child)


def test_a_search_reads_no_more_than_indexes_lead_to(stored_sets: StoredSets) -> None:
    for name in SEARCHES:
        query = library.load(name)
        with stored_sets.driver.session() as session:
            plan = session.run(f"EXPLAIN {query.text}", query.arguments({})).consume().plan
        assert plan is not None
        for operator, details in operators(plan):
            assert operator != "AllNodesScan", name
            if operator == "NodeByLabelScan":
                # what is taken where no feature is named
                assert name == "feature-prompts" and ":Feature" in details, (name, details)
            assert not operator.endswith("RelationshipTypeScan"), (name, details)


def test_an_edge_is_found_in_the_traces_that_have_it(stored_sets: StoredSets) -> None:
    traces = {trace.metadata.trace_id: trace for trace in [*stored_sets.first, *stored_sets.second]}
    (row, *_) = found(stored_sets, "edge-prompts")
    ends = {"source": row["source"], "target": row["target"]}
    ids = {name: id for trace in traces.values() for id, name in names(stored_sets, trace).items()}
    edge = (ids[row["source"]], ids[row["target"]], 0)
    shares = {id: observed_edges(trace)[edge]["share"] for id, trace in traces.items() if edge in observed_edges(trace)}
    assert by_trace(found(stored_sets, "edge-prompts", set="", **ends), "share") == close(shares)
    here = {trace.metadata.trace_id for trace in stored_sets.first}
    assert by_trace(found(stored_sets, "edge-prompts", **ends), "share") == close(
        {id: share for id, share in shares.items() if id in here}
    )
    by_id = found(stored_sets, "edge-prompts", set="", source=edge[0], target=row["target"])
    assert by_trace(by_id, "share") == close(shares)
    assert found(stored_sets, "edge-prompts", source="L99/F00001", target=row["target"]) == ()


def test_a_path_is_found_through_the_same_trace_nodes(stored_sets: StoredSets) -> None:
    (row, *_) = found(stored_sets, "path-prompts")
    rows = found(stored_sets, "path-prompts", set="", start=row["start"], end=row["end"], middles=100)
    expected = {}
    for trace in [*stored_sets.first, *stored_sets.second]:
        strengths = middle_strengths(trace, names(stored_sets, trace), row["start"], row["end"])
        if strengths:
            expected[trace.metadata.trace_id] = strengths
    assert rows and {each["trace"] for each in rows} == expected.keys()
    for each in rows:
        strengths = expected[each["trace"]]
        assert dict(zip(each["middles"], each["strengths"], strict=True)) == close(strengths)
        assert each["strength"] == pytest.approx(max(strengths.values()), rel=1e-5)
        assert each["all_middles"] == len(strengths)
    assert [each["strength"] for each in rows] == sorted((each["strength"] for each in rows), reverse=True)


def test_a_unit_is_found_in_the_traces_where_it_has_a_node(stored_sets: StoredSets) -> None:
    (row, *_) = found(stored_sets, "unit-prompts")
    id = next(
        id for trace in stored_sets.first for id, name in names(stored_sets, trace).items() if name == row["unit"]
    )
    of_traces = {trace.metadata.trace_id: observed_units(trace)[id] for trace in stored_sets.first}
    expected = {trace: seen["influence"] for trace, seen in of_traces.items() if seen["nodes"]}
    assert by_trace(found(stored_sets, "unit-prompts", unit=row["unit"]), "influence") == close(expected)


def test_a_feature_is_found_by_its_name_on_the_prompts_where_it_fires(stored_sets: StoredSets) -> None:
    (row, *_) = found(stored_sets, "feature-prompts")
    assert found(stored_sets, "feature-prompts", feature=row["feature"])[0] == row
    assert found(stored_sets, "feature-prompts", feature="L99/F00001") == ()


def test_silent_features_fire_and_have_no_node(stored_sets: StoredSets) -> None:
    units = expected_sums(stored_sets.first).units
    never = {id for id, sums in units.items() if sums["active_traces"] and not sums["traced"]}
    rows = found(stored_sets, "silent-features")
    assert never and {row["feature"] for row in rows} == {id.partition("/mlp/")[2] for id in never}
    weak = found(stored_sets, "silent-features", most_traces=8, most_influence=0.01)
    assert {row["feature"] for row in weak} == {
        id.partition("/mlp/")[2]
        for id, sums in units.items()
        if "/F" in id and sums["active_traces"] and sums["influence_sum"] <= 0.01 * 8
    }


def test_universal_edges_are_in_every_trace(stored_sets: StoredSets) -> None:
    edges = expected_sums(stored_sets.first).edges
    for missing in (0, 3):
        often = [key for key, sums in edges.items() if sums["traces"] >= 8 - missing]
        assert len(found(stored_sets, "universal-edges", missing=missing)) == len(often)


def names(stored: StoredSets, trace: Trace) -> dict[str, str]:
    """Returns the name of each unit of a trace by its id."""
    rows = stored.driver.execute_query(
        "UNWIND $ids AS id MATCH (u:Unit {id: id}) RETURN id, u.name AS name", ids=sorted(set(node_units(trace)))
    ).records
    return {row["id"]: row["name"] for row in rows}


def middle_strengths(trace: Trace, name_of: dict[str, str], start: str, end: str) -> dict[str, float]:
    """Returns the strongest path from start to end through each middle, by plain loops over edges."""
    graph, units = trace.graph, [name_of[id] for id in node_units(trace)]
    share = {
        (int(source), int(target)): abs(float(weight)) / float(graph.node_absolute_input[target])
        for source, target, weight in zip(graph.edge_source, graph.edge_target, graph.edge_weight, strict=True)
    }
    into = [(middle, value) for (first, middle), value in share.items() if units[first] == start]
    out = [(middle, value) for (middle, last), value in share.items() if units[last] == end]
    strengths: dict[str, float] = defaultdict(float)
    for middle, before in into:
        for again, after in out:
            if again == middle:
                strengths[units[middle]] = max(strengths[units[middle]], before * after)
    return dict(strengths)
