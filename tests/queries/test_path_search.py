from collections.abc import Mapping, Sequence
from itertools import product

import pytest

from circuitbase.errors import InputError
from circuitbase.graph.trace import Trace
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.queries.named_units import NamedUnits, named_units
from circuitbase.queries.path_language import PathStep, parsed_path
from circuitbase.queries.path_search import PathSearch, path_cypher, path_parameters, search_paths
from circuitbase.schema.cypher_names import undeclared_names
from circuitbase.tracing.options import TraceOptions
from tests.queries.conftest import StoredSets
from tests.queries.expected_sums import node_units
from tests.synthetic import synthetic_traces


def search(
    stored: StoredSets, text: str, *, prompt_set: str | None = None, limit: int = 100
) -> tuple[PathSearch, Mapping[str, NamedUnits]]:
    steps = parsed_path(text)
    with stored.driver.session() as session:
        units = named_units(session, [step.unit for step in steps if step.unit])
    found = search_paths(stored.driver, steps, units, prompt_set=prompt_set, limit=limit, database="neo4j")
    return found, units


def expected(
    traces: Sequence[Trace], steps: Sequence[PathStep], units: Mapping[str, NamedUnits]
) -> dict[str, tuple[float, int]]:
    """Returns (strength of the strongest path, number of paths) of each trace that has one, by walking its edges."""
    found = {}
    for trace in traces:
        graph, ids = trace.graph, node_units(trace)
        leaving: dict[int, list[tuple[int, float]]] = {}
        for source, target, weight in zip(graph.edge_source, graph.edge_target, graph.edge_weight, strict=True):
            share = abs(float(weight)) / float(graph.node_absolute_input[target])
            leaving.setdefault(int(source), []).append((int(target), share))

        def fits(node: int, step: PathStep, ids: list[str] = ids) -> bool:
            return step.unit is None or ids[node] in units[step.unit].ids

        walks = [(node, 1.0) for node in range(graph.n_nodes) if fits(node, steps[0])]
        for step in steps[1:]:
            walks = [
                (after, strength * share)
                for node, strength in walks
                for after, share in leaving.get(node, [])
                if fits(after, step)
            ]
        if walks:
            found[trace.metadata.trace_id] = (max(strength for _, strength in walks), len(walks))
    return found


def common_units(stored: StoredSets) -> list[str]:
    """Returns the names of the features that have most trace nodes, and of a token and an output."""
    rows = stored.driver.execute_query(
        "UNWIND ['Feature', 'InputToken', 'OutputToken'] AS kind MATCH (u:Unit {kind: kind})<-[:OF]-(n) "
        "WITH kind, u.layer AS layer, u.name AS name, count(n) AS nodes ORDER BY nodes DESC, name "
        "WITH kind, layer, collect(name)[0] AS name RETURN name ORDER BY kind, layer"
    ).records
    return [row["name"] for row in rows]


def test_paths_are_those_that_walking_the_edges_finds(stored_sets: StoredSets) -> None:
    first, second, third, token, output = common_units(stored_sets)
    both = [*stored_sets.first, *stored_sets.second]
    for text in (
        f"{first} -> {second}",
        f"{first} -> * -> {output}",
        f"{token} -> * -> * -> {output}",
        f"* -> {third}",
        f"{first} -> * -> *",
        f"* -> {second} -> * -> {output}",
    ):
        found, units = search(stored_sets, text)
        wanted = expected(both, parsed_path(text), units)
        assert found.traces == len(found.found) == len(wanted), text
        assert {each.trace: each.paths for each in found.found} == {id: paths for id, (_, paths) in wanted.items()}
        assert {each.trace: each.strength for each in found.found} == pytest.approx(
            {id: strength for id, (strength, _) in wanted.items()}, rel=1e-5
        )
        strengths = [each.strength for each in found.found]
        assert strengths == sorted(strengths, reverse=True)
        for each, (step, place) in product(found.found, zip(parsed_path(text), range(9), strict=False)):
            assert step.unit in (None, each.units[place])
            assert len(each.weights) == len(each.ports) == len(each.positions) - 1


def test_a_set_and_a_limit_narrow_a_search(stored_sets: StoredSets) -> None:
    first, *_, output = common_units(stored_sets)
    text = f"{first} -> * -> {output}"
    every, units = search(stored_sets, text)
    here, _ = search(stored_sets, text, prompt_set="capital-fr")
    assert {each.trace for each in here.found} == expected(stored_sets.second, parsed_path(text), units).keys()
    few, _ = search(stored_sets, text, limit=2)
    assert (few.traces, few.found) == (every.traces, every.found[:2])


def test_the_search_starts_at_the_rarest_unit_and_reads_no_more_than_it_leads_to(stored_sets: StoredSets) -> None:
    first, *_, output = common_units(stored_sets)
    steps = parsed_path(f"{first} -> * -> {output}")
    with stored_sets.driver.session() as session:
        units = named_units(session, [first, output])
        for rare, place in ((first, 0), (output, 2)):
            counted = {name: NamedUnits(name, each.ids, each.names, int(name != rare)) for name, each in units.items()}
            text = path_cypher(steps, counted)
            assert text.startswith(f"UNWIND $unit{place} AS id")
            assert undeclared_names(text) == []
            given = path_parameters(steps, counted, prompt_set=None, limit=3)
            plan = str(session.run(f"EXPLAIN {text}", given).consume().plan)
            assert "AllNodesScan" not in plan and "NodeByLabelScan" not in plan and "TypeScan" not in plan
            assert "NodeUniqueIndexSeek" in plan


def test_units_go_by_name_id_and_short_forms(stored_sets: StoredSets) -> None:
    (trace,) = synthetic_traces(1, first_seed=900, options=TraceOptions(target="roles"))
    put_prompts(
        stored_sets.driver, "answered", [SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt)], database="neo4j"
    )
    store_trace(stored_sets.driver, trace, database="neo4j")
    first, *_, output = common_units(stored_sets)
    with stored_sets.driver.session() as session:
        (id,) = named_units(session, [first])[first].ids
        assert named_units(session, [id])[id].names == (first,)
        assert named_units(session, ["answer"])["answer"].names == ("answer-distractor",)
        short = output.replace('" ', '"')
        assert named_units(session, [short, first])[short].names == (output,)
        with pytest.raises(InputError, match=r'there is no unit L99/F00001 and no in "nowhere"; units are named as'):
            named_units(session, ["L99/F00001", first, 'in "nowhere"'])
