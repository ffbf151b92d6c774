import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from circuitbase.cli.main import main
from tests.tiny_models import PROMPT, write_tiny_dictionary, write_tiny_model

Arguments = tuple[str, ...]
LENGTH = 1 + len(PROMPT.split())


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("targets") / "tiny"
    model = write_tiny_model(folder / "model")
    return ["--model", str(model), "--dictionary", str(write_tiny_dictionary(folder / "transcoders", model))]


@pytest.fixture
def traced(given: list[str]) -> Callable[..., dict[str, Any]]:
    def run(*arguments: str) -> dict[str, Any]:
        result = CliRunner().invoke(main, ["trace", PROMPT, *given, *arguments, "--json"])
        assert result.exit_code == 0, result.output
        found: dict[str, Any] = json.loads(result.stdout)
        return found

    return run


def refusal(given: list[str], *arguments: str) -> str:
    result = CliRunner().invoke(main, ["trace", PROMPT, *given, *arguments])
    assert (result.exit_code, result.stdout, len(result.stderr.strip().splitlines())) == (1, "", 1), result.output
    return result.stderr


def test_named_tokens_are_the_outputs_in_their_order(traced: Callable[..., dict[str, Any]]) -> None:
    found = traced("--output", "alpha", "--output", "beta")
    assert [(each["output"], each["kind"], each["position"]) for each in found["outputs"]] == [
        ("alpha", "token", LENGTH - 1),
        ("beta", "token", LENGTH - 1),
    ]
    assert traced("--output", "alpha", "--target", "tokens")["outputs"][0]["token"] == "alpha"


def test_features_at_positions_are_the_outputs(traced: Callable[..., dict[str, Any]]) -> None:
    found = traced("--feature", "1/7@-1", "--feature", "L01/F00003@2")
    assert [(each["output"], each["kind"], each["layer"], each["position"]) for each in found["outputs"]] == [
        ("L01/F00007", "feature", 1, LENGTH - 1),
        ("L01/F00003", "feature", 1, 2),
    ]
    assert found["account_violation"] <= 1e-5


@pytest.mark.parametrize("suffix", ["npy", "safetensors", "json"])
def test_a_direction_is_read_from_a_file_of_any_kind(
    suffix: str, traced: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    vector = np.linspace(-1, 1, 16)
    path = tmp_path / f"my truth.{suffix}"
    match suffix:
        case "npy":
            np.save(path, vector)
        case "safetensors":
            save_file({"v": vector}, path)
        case "json":
            path.write_text(json.dumps(vector.tolist()))
    found = traced("--direction", str(path), "--at", "1@-2")
    (output,) = found["outputs"]
    assert (output["output"], output["kind"], output["layer"], output["position"]) == (
        "my-truth",
        "direction",
        1,
        LENGTH - 2,
    )
    assert any(edge["target"] == "my-truth" for edge in found["strongest_edges"])
    # the same numbers from another kind of file make the same trace
    other = tmp_path / "again" / "my truth.npy"
    other.parent.mkdir()
    np.save(other, vector)
    assert traced("--direction", str(other), "--at", f"1@{LENGTH - 2}")["trace"] == found["trace"]


def test_several_directions_each_have_their_place(traced: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", np.arange(1.0, 17.0) * (1 if name == "a" else -1))
    found = traced(
        "--direction", f"{tmp_path}/a.npy", "--at", "0@1", "--direction", f"{tmp_path}/b.npy", "--at", "2@-1"
    )
    assert [(each["output"], each["layer"], each["position"]) for each in found["outputs"]] == [
        ("a", 0, 1),
        ("b", 2, LENGTH - 1),
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--output", "alpha", "--answer", "beta"), "targets of one kind, got --answer and --output"),
        (("--output", "alpha", "--target", "features"), "--output has no part in a trace of features; leave it out"),
        (("--target", "tokens"), "--target tokens needs --output"),
        (("--target", "features"), "--target features needs --feature"),
        (("--target", "directions"), "--target directions needs --direction"),
        (("--output", "alpha", "--output", "alpha"), "each target must be given once"),
        (("--output", "alpha beta"), "must be one token"),
        (("--feature", "1/7"), "--feature should be LAYER/FEATURE@POSITION, such as 2/115@-1, got '1/7'"),
        (("--feature", "one/7@1"), "--feature should name a feature as LAYER/FEATURE"),
        (("--feature", "1/7@last"), "the position of --feature should be a number"),
        (("--feature", "1/7@6"), "the position of --feature must be -6 to 5 on this prompt, got 6"),
        (("--feature", "1/7@0"), "position 0 has no nodes on this prompt"),
        (("--feature", "2/7@1"), "the layer of a target feature must be 0 to 1, got 2"),
        (("--feature", "1/24@1"), "a layer from 0 to 1 and an index from 0 to 23 in this dictionary, got 1/24"),
        (("--direction", "v.npy"), "each --direction needs one --at, the place where it is read, got 1 and 0"),
        (("--at", "1@1"), "each --direction needs one --at, the place where it is read, got 0 and 1"),
        (("--direction", "v.npy", "--at", "1"), "--at should be LAYER@POSITION"),
        (("--direction", "v.pkl", "--at", "1@1"), "v.pkl should be a .npy, .safetensors or .json file"),
        (("--direction", "v.npy", "--at", "1@1"), "v.npy should hold a vector, but cannot be read"),
    ],
)
def test_targets_that_do_not_fit_are_one_sentence(arguments: Arguments, sentence: str, given: list[str]) -> None:
    assert sentence in refusal(given, *arguments)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[1, 2, 3]", "direction v must have 16 numbers, got 3"),
        ("[[1, 2], [3, 4]]", "should hold a vector of numbers, but holds int64 of shape [2, 2]"),
        ('["a"]', "should hold a vector of numbers"),
        ("[1, [2]]", "cannot be read"),
        ("not JSON", "cannot be read"),
        (json.dumps([0.0] * 16), "direction v must be finite and not zero"),
    ],
)
def test_a_vector_that_cannot_be_read_along_is_one_sentence(
    content: str, sentence: str, given: list[str], tmp_path: Path
) -> None:
    (tmp_path / "v.json").write_text(content)
    assert sentence in refusal(given, "--direction", str(tmp_path / "v.json"), "--at", "1@1")


def test_a_file_with_several_tensors_is_one_sentence(given: list[str], tmp_path: Path) -> None:
    save_file({name: np.ones(16) for name in "ab"}, tmp_path / "v.safetensors")
    said = refusal(given, "--direction", str(tmp_path / "v.safetensors"), "--at", "1@1")
    assert "should hold one tensor, the vector, but holds 2 (a, b)" in said


def test_a_place_after_the_last_block_is_the_last_that_there_is(given: list[str], tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.ones(16))
    said = refusal(given, "--direction", str(tmp_path / "v.npy"), "--at", "3@1")
    assert "the layer of direction v must be 0 to 2, got 3" in said
