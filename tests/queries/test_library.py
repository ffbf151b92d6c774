from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from circuitbase.errors import QueryError
from circuitbase.graph.motifs.motif_type import MotifType, Shape
from circuitbase.graph.motifs.occurrences import occurrences
from circuitbase.ingest.head_roles import store_head_roles
from circuitbase.ingest.interventions import MadeIntervention, store_interventions
from circuitbase.ingest.prompt_sets import SetPrompt, put_prompts
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.queries import library
from circuitbase.queries.motif_storing import store_motifs
from circuitbase.queries.motifs import set_instances
from circuitbase.queries.reading import run_read_only
from circuitbase.queries.rollup import roll_up
from circuitbase.queries.rollup_choice import choose_rollup, choose_two_rollups
from circuitbase.queries.subcircuit_storing import store_subcircuits
from circuitbase.queries.subcircuits import SubcircuitOptions, subcircuits
from circuitbase.queries.supernode_storing import store_supernodes
from circuitbase.queries.supernodes import SupernodeOptions, supernodes_of
from circuitbase.queries.unit_graphs import summed_trace_ids, unit_graphs
from circuitbase.schema.cypher_names import undeclared_names
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.component_trace import trace_components
from circuitbase.tracing.head_roles.roles import BOUNDS, HeadRoles, Role, RoleScores
from circuitbase.tracing.models import load_model
from circuitbase.tracing.options import TraceOptions
from tests.queries.conftest import StoredSets
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces, with_links
from tests.tiny_models import write_tiny_model

# What synthetic traces need not have: a sign that is open, an edge in every trace.
MAY_BE_EMPTY = {"sign-disagreement", "universal-edges"}


def put_prompt_with_an_answer(stored: StoredSets) -> None:
    """Stores a trace that ends in a role, so that every declared property that a query names exists."""
    (trace,) = synthetic_traces(1, first_seed=900, options=TraceOptions(target="roles"))
    entry = SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt, answer="word3", distractor="word4")
    put_prompts(stored.driver, "answered", [entry], database="neo4j")
    store_trace(stored.driver, trace, database="neo4j")


def put_heads_with_a_role(stored: StoredSets) -> None:
    """Stores the score of two heads, one of them above its bound."""
    scores = {Role.INDUCTION: RoleScores(np.array([[0.1, 0.9]]), parts={}, measured_on={})}
    model = stored.first[0].metadata.model
    store_head_roles(stored.driver, model, HeadRoles(scores, BOUNDS), database="neo4j")


def put_motifs(stored: StoredSets) -> None:
    """Stores feed-forward loops of `capital-en` with their traces."""
    with stored.driver.session() as session:
        rollup = choose_rollup(session, "capital-en", configuration=None)
        found = set_instances(session, rollup, MotifType(Shape.COHERENT_LOOP), min_presence=0.0, top=3)
        where = occurrences(unit_graphs(session, summed_trace_ids(session, rollup)), found.motifs)
    store_motifs(stored.driver, rollup, where, created_by="a test", database="neo4j")


def put_trace_with_links(stored: StoredSets) -> None:
    """Stores a trace whose attention was explained."""
    (trace,) = synthetic_traces(1, first_seed=901)
    put_prompts(
        stored.driver, "capital-en", [SetPrompt(trace.metadata.prompt_id, trace.metadata.prompt)], database="neo4j"
    )
    store_trace(stored.driver, with_links(trace), database="neo4j")


def put_component_traces(stored: StoredSets, folder: Path) -> None:
    """Stores component traces in both sets, and sums them."""
    model = load_model(write_tiny_model(folder / "model"))
    for name, text in (("capital-en", "the alpha of beta is"), ("capital-fr", "the gamma of delta is")):
        trace = trace_components(model, model.tokenizer.read(text), ComponentOptions(neurons=2, prune=False))
        put_traces(stored.driver, stored.settings, name, [trace])
    roll_up(stored.driver, store=TraceStore(stored.settings.store_url), prompt_set=None, database="neo4j")


def put_interventions(stored: StoredSets) -> None:
    """Stores a head's patching and a path to another head's keys and an MLP."""
    head = MadeIntervention(
        name="a1.h0",
        method="activation-patching",
        site="head",
        direction="noising",
        metric="logit-difference",
        effects=(-1.0, -2.0),
        setup={},
        layer=1,
        layers=1,
        head=0,
        position=3,
        on=((1, 0),),
    )
    path = replace(
        head,
        name="a0.h1->a1.h0<k>",
        method="path-patching",
        effects=(3.0, 1.0),
        on=((0, 1),),
        reaches=(((1, 0), "k"), ((1, None), None)),
    )
    model = stored.first[0].metadata.model
    store_interventions(stored.driver, model, [head, path], database="neo4j")


def put_subcircuits_and_supernodes(stored: StoredSets) -> None:
    """Stores what the traces of `capital-en` share, and its supernodes."""
    options = SubcircuitOptions(min_support=3, top=3, budget=20)
    with stored.driver.session() as session:
        rollup, background = choose_two_rollups(session, "capital-en", "capital-fr", configuration=None)
        shared = subcircuits(session, rollup, background, options=options)
        groups = supernodes_of(session, rollup, options=SupernodeOptions(threshold=0.3))
    store_subcircuits(stored.driver, shared, created_by="a test", database="neo4j")
    store_supernodes(stored.driver, groups, database="neo4j")


def test_there_are_at_least_ten_named_queries() -> None:
    assert len(library.names()) >= 10


@pytest.mark.parametrize("name", library.names())
def test_a_named_query_says_what_it_is_and_uses_each_of_its_parameters(name: str) -> None:
    query = library.load(name)
    assert query.title and query.description.endswith(".")
    for parameter in query.parameters:
        assert f"${parameter.name}" in query.text
        assert parameter.checked(parameter.default) == parameter.default
    assert undeclared_names(query.source) == []


def test_named_queries_run_and_find_something_without_a_warning(stored_sets: StoredSets, tmp_path: Path) -> None:
    put_motifs(stored_sets)
    put_subcircuits_and_supernodes(stored_sets)
    put_component_traces(stored_sets, tmp_path)
    put_prompt_with_an_answer(stored_sets)
    put_heads_with_a_role(stored_sets)
    put_trace_with_links(stored_sets)
    put_interventions(stored_sets)
    for name in library.names():
        query = library.load(name)
        found = run_read_only(stored_sets.driver, query.text, query.arguments({}), database="neo4j")
        assert found.rows or name in MAY_BE_EMPTY, name
        with stored_sets.driver.session() as session:
            summary = session.run(f"EXPLAIN {query.text}", query.arguments({})).consume()
        assert summary.query_type == "r"
        notes = [status.status_description for status in summary.gql_status_objects if status.is_notification]
        assert notes == [], name


def test_the_account_of_every_stored_trace_closes(stored_sets: StoredSets) -> None:
    query = library.load("account")
    rows = run_read_only(stored_sets.driver, query.text, query.arguments({"limit": 10_000}), database="neo4j").rows
    targets = sum(
        int((trace.graph.node_preactivation == trace.graph.node_preactivation).sum()) for trace in stored_sets.first
    )
    assert len(rows) == targets
    assert max(row["violation"] for row in rows) < 1e-5


def test_heads_are_found_by_role_and_model(stored_sets: StoredSets) -> None:
    put_heads_with_a_role(stored_sets)
    model = stored_sets.first[0].metadata.model
    query = library.load("heads-by-role")

    def found(**given: str) -> list[dict[str, object]]:
        return [*run_read_only(stored_sets.driver, query.text, query.arguments(given), database="neo4j").rows]

    assert found() == [
        {"role": "induction", "head": "L00/head/1", "score": 0.9, "roles": ["induction"], "model": model.id}
    ]
    assert found(role="induction", model=model.name) == found()
    assert found(role="copying") == [] and found(model="another") == []


def test_interventions_are_found_by_method_the_largest_effect_first(stored_sets: StoredSets) -> None:
    put_interventions(stored_sets)
    query = library.load("interventions")

    def found(**given: str) -> list[tuple[object, ...]]:
        arguments = query.arguments(given)
        rows = run_read_only(stored_sets.driver, query.text, arguments, database="neo4j").rows
        return [(row["units"], row["receivers"], row["effect"]) for row in rows]

    path = (["L00/head/1"], ["L01/head/0<k>", "L01/mlp"], 2.0)
    assert found() == [path, (["L01/head/0"], [], -1.5)]
    assert found(method="path-patching", direction="noising") == [path]
    assert found(direction="denoising") == found(model="another") == []


def test_the_account_of_an_attention_link_closes_over_its_pairs(stored_sets: StoredSets) -> None:
    put_trace_with_links(stored_sets)
    query = library.load("account")
    rows = run_read_only(stored_sets.driver, query.text, query.arguments({"limit": 10_000}), database="neo4j").rows
    links = [row for row in rows if row["target"].endswith("/link")]
    assert sorted(row["edges"] for row in links) == [0.5, 1.0]
    assert max(row["violation"] for row in rows) < 1e-5


def test_the_pairs_of_a_head_are_found_the_strongest_first(stored_sets: StoredSets) -> None:
    put_trace_with_links(stored_sets)
    query = library.load("attention-pairs")
    rows = run_read_only(stored_sets.driver, query.text, query.arguments({"head": "L02/head/1"}), database="neo4j").rows
    assert [abs(row["pair_score"]) for row in rows] == [1.0, 0.5, 0.5, 0.5, 0.25, 0.25]
    assert rows[0]["pair_score"] == 1.0
    assert (rows[0]["attention"], rows[0]["score"], rows[0]["key"]) == (0.75, 2.0, 0)
    other = query.arguments({"head": "L02/head/10"})
    assert run_read_only(stored_sets.driver, query.text, other, database="neo4j").rows == ()


def test_units_that_a_head_looks_for_are_counted_once_per_trace(stored_sets: StoredSets) -> None:
    put_trace_with_links(stored_sets)
    query = library.load("attention-units")
    rows = run_read_only(stored_sets.driver, query.text, query.arguments({}), database="neo4j").rows
    assert {row["traces"] for row in rows} == {1}
    assert rows[0]["mean_score"] == 1.25


def test_an_unknown_query_is_answered_with_the_known_ones() -> None:
    with pytest.raises(QueryError, match=r"no query 'acount'; the named queries are account, attention-pairs"):
        library.load("acount")


def test_an_unknown_parameter_is_answered_with_the_known_ones() -> None:
    with pytest.raises(QueryError, match=r"query account has no parameter sett; it takes trace, set, limit"):
        library.load("account").arguments({"sett": "capital-en"})


@pytest.mark.parametrize(("name", "value"), [("limit", "many"), ("limit", 2.5), ("limit", True), ("min_presence", "x")])
def test_a_parameter_of_another_type_is_refused(name: str, value: object) -> None:
    with pytest.raises(QueryError, match=f"parameter {name} must be "):
        library.load("circuit-units").arguments({name: value})


def test_a_set_whose_name_is_a_number_can_be_named() -> None:
    assert library.load("circuit-units").arguments({"set": 7, "min_presence": 1})["set"] == "7"


def test_a_file_whose_header_and_defaults_disagree_is_refused() -> None:
    text = "// Title\n// What it does.\n// $a STRING: a thing\n:param b => 1;\nRETURN $a;\n"
    with pytest.raises(QueryError, match=r"describes \['a'\] but gives defaults for \['b'\]"):
        library.parsed("wrong", text)
    with pytest.raises(QueryError, match="needs a header"):
        library.parsed("bare", "RETURN 1;")
    with pytest.raises(QueryError, match="a default that is no JSON value"):
        library.parsed("odd", "// Title\n// What it does.\n// $a STRING: a thing\n:param a => 'x';\nRETURN $a;\n")
