import csv
import io
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from tests.cli.running import refusal, rows, run
from tests.tiny_models import PROMPT, write_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tiny_model(tmp_path_factory.mktemp("lens") / "model"))


def looked(model: str, *arguments: str) -> list[dict[str, Any]]:
    return rows("lens", PROMPT, "--model", model, *arguments)


def test_the_lens_has_a_row_for_each_layer_position_and_rank(model: str) -> None:
    found = looked(model, "--top", "2")
    assert len(found) == 3 * 6 * 2
    assert found[0].keys() == {"layer", "position", "token", "rank", "predicted", "probability"}
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert (first["rank"], second["rank"]) == (1, 2)
        assert first["probability"] >= second["probability"]
    assert found == looked(model, "--logit-lens", "--top", "2")
    shown = run("lens", PROMPT, "--model", model, "--table").stdout
    assert "before 1" in shown
    assert "at the end" in shown


def test_effects_add_up_to_the_logit_by_component_and_by_position(model: str) -> None:
    for arguments in ((), ("--by-position",), ("--answer", "alpha", "--distractor", "beta"), ("--position", "2")):
        *effects, constants, logit = looked(model, "--attribution", *arguments)
        assert (constants["component"], logit["component"]) == ("constants", "logit")
        parts = sum(row["effect"] for row in effects) + constants["effect"]
        assert parts == pytest.approx(logit["effect"], abs=1e-5)
        sizes = [abs(row["effect"]) for row in effects]
        assert sizes == sorted(sizes, reverse=True)
    assert {row["component"] for row in effects} == {"input", "a0.h0", "a0.h1", "m0", "a1.h0", "a1.h1", "m1"}


def test_a_table_of_effects_names_what_it_leaves_out(model: str) -> None:
    shown = run("lens", PROMPT, "--model", model, "--attribution", "--answer", "alpha", "--top", "2", "--table").stdout
    assert "5 others" in shown
    assert "Logit of 'alpha' less" in shown


def test_patterns_are_rows_of_what_is_seen(model: str) -> None:
    found = looked(model, "--patterns", "1/0", "--patterns", "L00/head/1")
    assert {row["head"] for row in found} == {"L01/head/0", "L00/head/1"}
    for query in range(6):
        mine = [row for row in found if row["head"] == "L01/head/0" and row["query"] == query]
        assert sum(row["attention"] for row in mine) == pytest.approx(1, abs=1e-5)
        assert max(row["key"] for row in mine) == query
    shown = run("lens", PROMPT, "--model", model, "--patterns", "1/0", "--table").stdout
    assert "Attention of L01/head/0" in shown
    assert "<bos> @0 1.00" in shown


def test_token_ids_are_read_like_the_text_they_make_and_csv_has_the_same_rows(model: str) -> None:
    found = looked(model)
    printed = run("lens", PROMPT, "--model", model, "--csv").stdout
    assert [row["predicted"] for row in csv.DictReader(io.StringIO(printed))] == [row["predicted"] for row in found]
    from circuitbase.tracing.tokenizing import PromptTokenizer

    tokens = ",".join(str(token) for token in PromptTokenizer(model).read(PROMPT).token_ids)
    assert rows("lens", "--tokens", tokens, "--model", model) == found


@pytest.mark.parametrize(
    "arguments",
    [
        ("--logit-lens",),
        ("--attribution",),
        ("--attribution", "--by-position"),
        ("--patterns", "0/0", "--patterns", "1/1"),
    ],
)
def test_every_look_has_a_picture(arguments: tuple[str, ...], model: str, tmp_path: Path) -> None:
    file = tmp_path / "look.png"
    result = run("lens", PROMPT, "--model", model, *arguments, "--plot", str(file))
    assert f"wrote {file}" in result.stderr
    assert imread(file).ndim == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--logit-lens", "--attribution"), "one look is shown at a time, got --logit-lens and --attribution"),
        (("--answer", "alpha"), "--answer is for --attribution; give that too, or leave it out"),
        (("--patterns", "1/0", "--by-position"), "--by-position is for --attribution"),
        (("--attribution", "--answer", "zonk"), "'zonk' must be one token"),
        (("--attribution", "--position", "6"), "the position must be -6 to 5 on this prompt, got 6"),
        (("--patterns", "1/0@2"), "--patterns shows every query position, got '1/0@2'"),
        (("--patterns", "one"), "--patterns should name a head as LAYER/HEAD"),
        (("--patterns", "2/0"), "the layer must be 0 to 1, got 2"),
        (("--device", "abacus"), "the device must be one of this machine's"),
    ],
)
def test_wrong_looks_are_one_sentence(arguments: tuple[str, ...], sentence: str, model: str) -> None:
    assert sentence in refusal("lens", PROMPT, "--model", model, *arguments)
