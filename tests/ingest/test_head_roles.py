import json

import numpy as np
import pytest
from neo4j import Driver

from circuitbase.errors import DatabaseError
from circuitbase.graph.trace import ModelIdentity
from circuitbase.ingest.head_roles import store_head_roles
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.schema.declaration import node
from circuitbase.schema.identity import head
from circuitbase.tracing.head_roles.roles import BOUNDS, HeadRoles, Role, RoleScores
from tests.ingest.contents import contents, counts, rows
from tests.synthetic import synthetic_traces

DATABASE = "neo4j"
MODEL = ModelIdentity("tiny", "0" * 64, "1" * 64, "GPT2LMHeadModel", None, n_layers=2, d_model=8, d_vocab=20)
HEADS = "MATCH (h:Head) RETURN h.id AS id, labels(h) AS labels, properties(h) AS properties ORDER BY id"


def scores(*values: list[float], **measured_on: object) -> RoleScores:
    return RoleScores(np.array(values), {"attention": np.array(values) / 2}, measured_on)


def found(**further: RoleScores) -> HeadRoles:
    given = {"induction": scores([0.1, 0.2], [0.9, 0.4], seeds=[0]), **further}
    return HeadRoles({Role(name): each for name, each in given.items()}, BOUNDS)


def test_every_role_is_a_property_of_head_units() -> None:
    declared = [property.name for property in node("Head").properties if property.type == "FLOAT"]
    assert declared == [role.value for role in Role]


def test_scores_roles_and_evidence_are_on_the_units_of_heads(database: Driver) -> None:
    stored = store_head_roles(database, MODEL, found(), database=DATABASE)
    assert (stored.heads, stored.new_units) == (4, 4)
    heads = rows(database, HEADS)
    assert [row["id"] for row in heads] == [head(MODEL.id, layer, index) for layer in (0, 1) for index in (0, 1)]
    assert {*heads[2]["labels"]} == {"Unit", "Head", "L01"}
    properties = heads[2]["properties"]
    evidence = json.loads(properties.pop("roles_evidence"))
    assert properties == {
        "id": head(MODEL.id, 1, 0),
        "name": "L01/head/0",
        "kind": "Head",
        "index": 0,
        "layer": 1,
        "induction": 0.9,
        "roles": ["induction"],
    }
    assert evidence["induction"] | {"definition": ""} == {
        "definition": "",
        "bound": 0.4,
        "score": 0.9,
        "attention": 0.45,
        "seeds": [0],
    }
    assert heads[3]["properties"]["roles"] == []  # at the bound is not above it
    assert counts(database)["Model"] == 1


def test_storing_again_changes_nothing(database: Driver) -> None:
    store_head_roles(database, MODEL, found(), database=DATABASE)
    before = contents(database)
    assert store_head_roles(database, MODEL, found(), database=DATABASE).new_units == 0
    assert contents(database) == before


def test_what_is_measured_later_replaces_what_was_stored(database: Driver) -> None:
    store_head_roles(database, MODEL, found(copying=scores([1.0, 1.0], [1.0, 1.0])), database=DATABASE)
    store_head_roles(database, MODEL, found(), database=DATABASE)
    for row in rows(database, HEADS):
        assert "copying" not in row["properties"]
        assert "copying" not in json.loads(row["properties"]["roles_evidence"])


def test_a_score_that_could_not_be_measured_is_no_property(database: Driver) -> None:
    unmeasured = scores([float("nan")] * 2, [float("nan")] * 2, not_measured="no head is a name mover")
    store_head_roles(database, MODEL, found(s_inhibition=unmeasured), database=DATABASE)
    properties = rows(database, HEADS)[0]["properties"]
    assert "s_inhibition" not in properties
    said = json.loads(properties["roles_evidence"])["s_inhibition"]
    assert said["score"] is None and said["not_measured"] == "no head is a name mover"


def test_units_of_traces_are_left_as_they_are(database: Driver) -> None:
    (trace,) = synthetic_traces(1)
    store_trace(database, trace, database=DATABASE)
    before = {line for line in contents(database) if "Head" not in line}
    store_head_roles(database, trace.metadata.model, found(), database=DATABASE)
    assert before <= set(contents(database))
    assert counts(database)["Model"] == 1


def test_a_database_of_another_version_is_refused(database: Driver) -> None:
    database.execute_query("MERGE (s:Schema {name: 'circuitbase'}) SET s.version = 99")
    with pytest.raises(DatabaseError, match="schema version 99"):
        store_head_roles(database, MODEL, found(), database=DATABASE)
    assert counts(database).get("Head", 0) == 0
