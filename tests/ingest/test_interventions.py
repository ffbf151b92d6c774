"""Interventions as they stand in the database."""

from dataclasses import replace

import pytest
from neo4j import Driver

from circuitbase.errors import DatabaseError
from circuitbase.graph.trace import ModelIdentity
from circuitbase.ingest.interventions import MadeIntervention, store_interventions
from tests.ingest.contents import contents, counts, rows

MODEL = ModelIdentity(
    name="tiny",
    digest="1a2b3c4d5e6f",
    tokenizer_digest="0" * 8,
    architecture="GPT2LMHeadModel",
    revision=None,
    n_layers=3,
    d_model=16,
    d_vocab=28,
)
HEAD = MadeIntervention(
    name="a1.h0",
    method="activation-patching",
    site="head",
    direction="noising",
    metric="logit-difference",
    effects=(-1.0, -2.0),
    setup={"pairs": "abc", "window": 1},
    layer=1,
    layers=1,
    head=0,
    on=((1, 0),),
)
PATH = replace(
    HEAD,
    name="a0.h1+m0->a2.h0<q>+a2.h0<k>",
    method="path-patching",
    site="head+mlp",
    layer=None,
    layers=None,
    head=None,
    on=((0, 1), (0, None)),
    reaches=(((2, 0), "q"), ((2, 0), "k"), ((1, None), None)),
)
STREAM = replace(HEAD, name="r1<pre>@3", site="residual", direction="denoising", head=None, position=3, on=())


def test_an_intervention_stands_on_its_units_in_its_model(database: Driver) -> None:
    assert store_interventions(database, MODEL, [HEAD, PATH, STREAM], database="neo4j") == 3
    (found,) = rows(
        database,
        "MATCH (u:Unit)<-[:ON]-(i:Intervention {name: 'activation-patching noising a1.h0'})-[:IN_MODEL]->(m:Model) "
        "RETURN properties(i) AS i, u.id AS unit, labels(u) AS labels, m.id AS model",
    )
    assert (found["unit"], found["model"]) == ("tiny@1a2b3c4d/L01/head/0", "tiny@1a2b3c4d")
    assert set(found["labels"]) == {"Unit", "Head", "L01"}
    values = {name: value for name, value in found["i"].items() if name not in ("id", "stored_at")}
    assert values == {
        "name": "activation-patching noising a1.h0",
        "method": "activation-patching",
        "site": "head",
        "direction": "noising",
        "metric": "logit-difference",
        "effect": -1.5,
        "effects": [-1.0, -2.0],
        "pairs": 2,
        "layer": 1,
        "layers": 1,
        "head": 0,
        "setup": '{"pairs":"abc","window":1}',
    }


def test_paths_reach_their_receivers_by_port(database: Driver) -> None:
    store_interventions(database, MODEL, [PATH, STREAM], database="neo4j")
    reached = rows(
        database,
        "MATCH (i:Intervention {method: 'path-patching'})-[r:REACHES]->(u:Unit) RETURN u.name AS unit, r.port AS port "
        "ORDER BY unit, port",
    )
    assert [tuple(row.values()) for row in reached] == [("L01/mlp", None), ("L02/head/0", "k"), ("L02/head/0", "q")]
    on = rows(database, "MATCH (:Intervention)-[:ON]->(u:Unit) RETURN u.name AS unit ORDER BY unit")
    assert [row["unit"] for row in on] == ["L00/head/1", "L00/mlp"]  # a residual stream is no unit


def test_storing_again_changes_nothing(database: Driver) -> None:
    store_interventions(database, MODEL, [HEAD, PATH, STREAM], database="neo4j")
    before = contents(database)
    assert store_interventions(database, MODEL, [STREAM, PATH, HEAD], database="neo4j") == 0
    assert contents(database) == before
    assert counts(database)["REACHES"] == 3


def test_another_set_up_is_another_intervention(database: Driver) -> None:
    others = [replace(HEAD, setup={"pairs": "abd", "window": 1}), replace(HEAD, direction="denoising")]
    assert store_interventions(database, MODEL, [HEAD, *others], database="neo4j") == 3
    assert counts(database) | {"Schema": 1} == counts(database)
    assert (counts(database)["Intervention"], counts(database)["Unit"], counts(database)["Model"]) == (3, 1, 1)


def test_effects_that_are_no_numbers_are_not_written(database: Driver) -> None:
    with pytest.raises(DatabaseError, match=r"Intervention.effect must be FLOAT, got nan"):
        store_interventions(database, MODEL, [replace(HEAD, effects=(float("nan"),))], database="neo4j")
    assert "Intervention" not in counts(database)
