import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.demo.packaged import prompt_sets
from circuitbase.tracing.head_roles.roles import Role
from tests.cli.running import refusal, rows, run
from tests.tiny_models import write_tiny_model

INDUCTION = str(prompt_sets()["induction"])
NAMES = str(prompt_sets()["indirect-object"])
QUICK = ("--periods", "4,6", "--sequences", "8", "--seeds", "0")
TINY = ("--periods", "3,5", "--sequences", "4", "--length", "8", "--seeds", "0")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("heads") / "tiny", architecture="Qwen3ForCausalLM"))


def test_the_heads_of_the_packaged_model_have_their_roles() -> None:
    found = rows("heads", "--model", "atlas", "--prompts", INDUCTION, "--random-tokens", "prompts", *QUICK, "--json")
    roles = {row["head"]: row["roles"] for row in found}
    assert len(found) == 16
    assert {head for head, names in roles.items() if "previous_token" in names} == {"a0.h2", "a0.h3"}
    for role in ("induction", "name_mover"):
        assert {head for head, names in roles.items() if role in names} == {"a1.h0", "a1.h1", "a1.h2"}
    assert {head for head, names in roles.items() if "copying" in names} == {f"a1.h{head}" for head in range(4)}
    assert found[4]["unit"] == "L01/head/0"


def test_name_movers_of_the_packaged_model_do_not_choose_by_their_queries() -> None:
    result = run("heads", "--model", "atlas", "--prompts", NAMES, *QUICK, "--json")
    assert "s_inhibition was not measured: corrupted queries leave the attention of the name movers" in result.stderr
    assert all(json.loads(line)["s_inhibition"] is None for line in result.stdout.splitlines())


def test_one_role_is_shown_with_what_it_rests_on_the_best_first() -> None:
    found = rows("heads", "--model", "atlas", "--role", "copying", *QUICK, "--json")
    assert found[0]["score"] > 0.97 and found[0]["above_bound"]
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    found = rows("heads", "--model", "atlas", "--role", "induction", *QUICK, "--json")
    assert {"period_4", "period_6"} <= found[0].keys()


def test_a_bound_decides_who_has_a_role(tiny: str) -> None:
    found = rows("heads", "--model", tiny, "--bound", "positional=-1", *TINY, "--json")
    assert len(found) == 8 and all("positional" in row["roles"] for row in found)


def test_csv_and_table_have_a_row_for_each_head(tiny: str) -> None:
    table = csv.DictReader(io.StringIO(run("heads", "--model", tiny, *TINY, "--csv").stdout))
    assert [row["head"] for row in table] == [f"a{layer}.h{head}" for layer in range(2) for head in range(4)]
    shown = run("heads", "--model", tiny, *TINY, "--table").stdout
    assert "prev" in shown and "a1.h3" in shown


def test_pairs_measure_name_movers(tiny: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.json"
    pair = {
        "clean": "alpha and beta is beta to",
        "corrupted": "alpha and beta is alpha to",
        "correct": "alpha",
        "wrong": "beta",
    }
    pairs.write_text(json.dumps({"pairs": [pair]}))
    found = rows("heads", "--model", tiny, "--pairs", str(pairs), *TINY, "--json")
    assert max(row["name_mover"] for row in found) > 0
    assert {"name_mover", "s_inhibition"} <= found[0].keys()


def test_what_is_measured_is_stored_and_found_by_the_query(database: Driver, tiny: str, tmp_path: Path) -> None:
    picture = tmp_path / "heads.png"
    done = run("heads", "--model", tiny, *TINY, "--bound", "copying=-1", "--store", "--plot", str(picture), "--json")
    assert "the roles of 8 heads of tiny@" in done.stderr and "are now in Neo4j" in done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    stored = rows("query", "heads-by-role", "role=copying", "--json")
    assert {row["head"]: row["score"] for row in stored} == {row["unit"]: row["copying"] for row in printed}
    evidence = database.execute_query("MATCH (h:Head) RETURN h.roles_evidence AS it LIMIT 1").records[0]["it"]
    assert json.loads(evidence)["induction"]["periods"] == [3, 5]
    assert json.loads(evidence).keys() == {role.value for role in Role} - {"name_mover", "s_inhibition"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--role", "name_mover"), "name_mover is measured on prompts with an answer; give --prompts or --pairs"),
        (("--random-tokens", "prompts"), "draws from their tokens; give --prompts or --pairs"),
        (("--periods", "4,x"), "--periods should be whole numbers by commas"),
        (("--periods", "2"), "periods of repeated tokens must be 3 or more"),
        (("--periods", "40"), "longest random sequence has 81 tokens, but the model reads at most 64"),
        (("--bound", "inductive=1"), "the roles are previous_token, duplicate_token"),
        (("--bound", "induction"), "should be a role and a score"),
        (("--prompts", "nowhere.jsonl"), "the prompt file nowhere.jsonl does not exist"),
        (("--pairs", "nowhere.json"), "the pair file nowhere.json cannot be read"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    assert said in refusal("heads", "--model", "atlas", *arguments)


def test_prompts_without_answers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "Tom and Ann"}\n')
    assert "line 1: it has no answer" in refusal("heads", "--model", "atlas", "--prompts", str(path))


def test_help_shows_an_example() -> None:
    shown = CliRunner().invoke(main, ["heads", "--help"]).stdout
    assert "circuitbase heads --model atlas --prompts names.jsonl" in shown
