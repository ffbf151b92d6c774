from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from neo4j import Driver

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.ingest import prompt_sets
from circuitbase.ingest.connection import open_driver
from circuitbase.ingest.prompt_sets import SetPrompt, join_set, put_prompts
from circuitbase.settings import Settings
from tests.ingest.contents import contents, counts, rows

DATABASE = "neo4j"
PROMPT = TracedPrompt("a b", (0, 7, 8), ("<bos>", "a", " b"), (0,))
FULL = SetPrompt(
    "p1",
    PROMPT,
    answer="x",
    distractor="y",
    spans={"city": (0, 3)},
    roles={"city": [1, 2]},
    cluster="c1",
    labels={"language": "fr", "hops": 2, "held_out": True, "weight": 0.5},
)


def entries(n: int) -> list[SetPrompt]:
    return [SetPrompt(f"p{number}", PROMPT) for number in range(n)]


def said(driver: Driver) -> dict[str, dict[str, object]]:
    """Returns what the sets say of each prompt, but when they said it."""
    found = rows(driver, "MATCH (p:Prompt)-[r:IN_SET]->(:PromptSet) RETURN p.id AS id, properties(r) AS said")
    return {row["id"]: {name: it for name, it in row["said"].items() if name != "submitted_at"} for row in found}


def test_a_set_says_everything_of_its_prompt(database: Driver):
    put = put_prompts(database, "s", [FULL], database=DATABASE)
    assert put.new == 1
    assert rows(database, "MATCH (p:Prompt) RETURN properties(p) AS p")[0]["p"] == {
        "id": "p1",
        "text": "a b",
        "token_ids": [0, 7, 8],
        "tokens": ["<bos>", "a", " b"],
        "n_tokens": 3,
    }
    assert said(database)["p1"] == {
        "answer": "x",
        "distractor": "y",
        "spans": '{"city":[0,3]}',
        "roles": '{"city":[1,2]}',
        "cluster": "c1",
        "language": "fr",
        "hops": 2,
        "held_out": True,
        "weight": 0.5,
    }


def test_a_prompt_stands_alone_unless_a_cluster_is_given(database: Driver):
    put_prompts(database, "s", entries(2), database=DATABASE)
    assert said(database) == {"p0": {"cluster": "p0"}, "p1": {"cluster": "p1"}}


def test_putting_prompts_again_changes_nothing(database: Driver):
    put_prompts(database, "s", [FULL, *entries(3)], database=DATABASE)
    before = contents(database)
    assert put_prompts(database, "s", [FULL, *entries(3)][::-1], database=DATABASE).new == 0
    assert [line for line in contents(database) if "'p1'" not in line] == [
        line for line in before if "'p1'" not in line
    ]
    assert counts(database)["IN_SET"] == 3


def test_what_a_set_says_replaces_what_it_said(database: Driver):
    put_prompts(database, "s", [FULL], database=DATABASE)
    before = rows(database, "MATCH ()-[r:IN_SET]->() RETURN r.submitted_at AS at")
    put_prompts(database, "s", [SetPrompt("p1", PROMPT, answer="z", labels={"era": "now"})], database=DATABASE)
    assert said(database)["p1"] == {"answer": "z", "cluster": "p1", "era": "now"}
    assert rows(database, "MATCH ()-[r:IN_SET]->() RETURN r.submitted_at AS at") == before


def test_joining_a_set_keeps_what_it_said(database: Driver):
    put_prompts(database, "s", [FULL], database=DATABASE)
    before = contents(database)
    assert join_set(database, "s", [SetPrompt("p1", PROMPT)], database=DATABASE).new == 0
    assert contents(database) == before
    assert join_set(database, "other", [SetPrompt("p1", PROMPT)], database=DATABASE).new == 1
    assert counts(database)["PromptSet"] == 2


def test_two_sets_say_different_things_of_one_prompt(database: Driver):
    put_prompts(database, "s", [FULL], database=DATABASE)
    put_prompts(database, "t", [replace(FULL, answer="w")], database=DATABASE)
    found = rows(database, "MATCH (:Prompt)-[r:IN_SET]->(s:PromptSet) RETURN s.name AS s, r.answer AS a ORDER BY s")
    assert found == [{"s": "s", "a": "x"}, {"s": "t", "a": "w"}]
    assert counts(database)["Prompt"] == 1


def test_a_prompt_given_as_tokens_takes_the_text_it_is_given_later(database: Driver):
    put_prompts(database, "s", [SetPrompt("p1", replace(PROMPT, text=None))], database=DATABASE)
    put_prompts(database, "s", [SetPrompt("p1", PROMPT)], database=DATABASE)
    put_prompts(database, "s", [SetPrompt("p1", replace(PROMPT, text="other"))], database=DATABASE)
    assert rows(database, "MATCH (p:Prompt) RETURN p.text AS text") == [{"text": "a b"}]


def test_labels_that_cannot_be_properties_are_all_listed_and_nothing_is_written(database: Driver):
    labels = {"answer": "fr", "two words": 1, "share": float("nan"), "nested": {"a": 1}}
    with pytest.raises(InputError) as raised:
        put_prompts(database, "s", [FULL, SetPrompt("p2", PROMPT, labels=labels)], database=DATABASE)
    for part in ("'answer' has a meaning of its own", "'two words' is no name", "'share' must", "'nested' must"):
        assert part in str(raised.value)
    assert contents(database) == []


def test_many_prompts_are_put_in_batches(database: Driver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(prompt_sets, "BATCH", 10)
    assert put_prompts(database, "s", entries(25), database=DATABASE).new == 25
    assert counts(database)["Prompt"] == 25


def test_no_prompts_make_no_set(database: Driver):
    assert put_prompts(database, "s", [], database=DATABASE).new == 0
    assert contents(database) == []


def test_four_writers_of_two_sets_put_each_prompt_once(database: Driver, settings: Settings):
    together = Barrier(4)

    def put(writer: int) -> int:
        mine = entries(60) if writer % 2 else entries(60)[::-1]
        with open_driver(settings) as driver:
            together.wait(timeout=60)
            return put_prompts(driver, f"s{writer // 2}", mine, database=DATABASE).new

    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(put, range(4)))
    assert sum(new) == 120
    assert counts(database)["Prompt"] == 60
    assert counts(database)["IN_SET"] == 120
