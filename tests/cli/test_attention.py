import csv
import io
from typing import Any

import pytest

from tests.cli.running import refusal, rows, run
from tests.tiny_models import PROMPT, write_tiny_model

CONTRAST = "the gamma of beta is"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("attention") / "model"))


def explained(model: str, *arguments: str) -> dict[str, Any]:
    (found,) = rows("attention", PROMPT, "--model", model, "--head", "1/0", *arguments)
    return found


def test_pairs_add_up_to_scores_and_integrated_parts_to_attention(model: str) -> None:
    found = explained(model, "--keys", "10", "--pairs", "1000")
    assert (found["head"], found["query"], len(found["keys"])) == ("L01/head/0", 5, 6)
    for key in found["keys"]:
        mine = [pair for pair in found["pairs"] if pair["key"] == key["key"]]
        assert sum(pair["score"] for pair in mine) == pytest.approx(key["score"], abs=1e-5)
        assert sum(pair["integrated"] for pair in mine) == pytest.approx(key["integrated"], abs=1e-5)
        above = key["attention"] - key["uniform"]
        assert key["integrated"] + key["others"] == pytest.approx(above, abs=1e-6)
        slope = key["attention"] * (1 - key["attention"])
        assert sum(pair["derivative"] for pair in mine) == pytest.approx(slope * key["score"], abs=1e-5)


def test_the_change_against_a_contrast_prompt_is_split_by_key(model: str) -> None:
    found = explained(model, "--contrast", CONTRAST, "--keys", "2")
    changes = {row["key"]: row for row in found["score_changes"]}
    assert changes[2]["contrast_token"] == "gamma"
    for row in changes.values():
        split = row["by_query"] + row["by_key"] + row["by_both"]
        assert split == pytest.approx(row["score"] - row["contrast_score"], abs=1e-5)
    for key in {row["key"] for row in found["attention_changes"]}:
        mine = [row for row in found["attention_changes"] if row["key"] == key]
        change = changes[key]["attention"] - changes[key]["contrast_attention"]
        assert sum(row["part"] for row in mine) == pytest.approx(change, abs=1e-7)
        assert mine[0]["attention_change"] == pytest.approx(change)
    assert "score_changes" not in explained(model)


def test_csv_is_every_pair_and_a_table_says_what_it_shows(model: str) -> None:
    printed = run("attention", PROMPT, "--model", model, "--head", "1/0", "--keys", "2", "--csv").stdout
    assert len(list(csv.DictReader(io.StringIO(printed)))) == 2 * 5 * 5  # input, two heads, an MLP and the biases
    shown = run(
        "attention", PROMPT, "--model", model, "--head", "1/0", "--query", "3", "--contrast", CONTRAST, "--table"
    ).stdout
    for title in ("L01/head/0 at position 3: visible keys", "Strongest pairs", "Changes of scores", "Changes of att"):
        assert title in shown


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--head", "2/0"), "the layer must be 0 to 1, got 2"),
        (("--head", "1/0@3"), "give the position by --query"),
        (("--head", "one"), "--head should name a head as LAYER/HEAD"),
        (("--head", "1/0", "--query", "6"), "the query position of a head must be -6 to 5 on this prompt, got 1/0@6"),
        (("--head", "1/0", "--contrast", "the beta"), "the prompt has 6 and it 3; give one of the same length"),
    ],
)
def test_wrong_requests_are_one_sentence(arguments: tuple[str, ...], sentence: str, model: str) -> None:
    assert sentence in refusal("attention", PROMPT, "--model", model, *arguments)
