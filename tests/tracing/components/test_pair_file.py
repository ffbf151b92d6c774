"""Pair files: what is read from them, and what is refused with the pair's number."""

import json
from pathlib import Path
from typing import Any

import pytest

from circuitbase.errors import InputError
from circuitbase.tracing.components.pair_file import read_pairs
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.tokenizing import PromptTokenizer
from tests.tiny_models import write_tiny_model

GOOD = {"clean": "the alpha of", "corrupted": "the beta of", "correct": "alpha", "wrong": "beta"}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PromptTokenizer:
    return PromptTokenizer(write_tiny_model(tmp_path_factory.mktemp("pairs") / "model"))


def read(tokenizer: PromptTokenizer, folder: Path, *entries: Any) -> list[Pair]:
    path = folder / "pairs.json"
    path.write_text(json.dumps({"pairs": entries}))
    return read_pairs(path, tokenizer)


def test_text_and_token_ids_are_the_same_pair(tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    ids = {"clean": [27, 2, 28], "corrupted": [0, 27, 3, 28], "correct": 2, "wrong": [3]}
    found = read(tokenizer, tmp_path, GOOD, ids)
    assert found == [Pair((0, 27, 2, 28), (0, 27, 3, 28), (2,), (3,))] * 2


def test_several_tokens_may_be_correct_or_wrong_and_neither_need_be_named(
    tokenizer: PromptTokenizer, tmp_path: Path
) -> None:
    several = GOOD | {"correct": ["alpha", "gamma"], "wrong": ["beta", 5]}
    neither = {key: GOOD[key] for key in ("clean", "corrupted")}
    found = read(tokenizer, tmp_path, several, neither)
    assert [(pair.correct, pair.wrong) for pair in found] == [((2, 4), (3, 5)), ((), ())]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"corrupted": "the beta of the"}, "its prompts must have the same length, but have 4 and 5 tokens"),
        ({"correct": "alpha beta"}, "its correct: 'alpha beta' must be one token, but it is 2: 'alpha', 'beta'"),
        ({"wrong": "nonsense"}, "its wrong: 'nonsense' must be one token, but the tokenizer does not know it"),
        ({"clean": ""}, "its clean prompt is empty"),
        ({"corrupted": []}, "its corrupted prompt is empty"),
        ({"correct": []}, "its correct is an empty list"),
        ({"wrong": None}, "it has no wrong token"),
        ({"clean": [2, 99]}, "token 99 of its clean is not among the model's 0 to 28"),
        ({"correct": 99}, "token 99 of its correct is not among the model's 0 to 28"),
        ({"correct": ["alpha", "alpha"]}, "its correct names a token twice"),
        ({"wrong": "alpha"}, "token 2 is both correct and wrong"),
        ({"correct": True}, "its correct should be one token, as text or id, or a list of them, got True"),
        ({"clean": 3}, "its clean should be text or a list of token ids, got 3"),
        ({"clean": [2] * 20, "corrupted": [3] * 20}, "it has 21 tokens, but the model reads at most 16"),
        ({"label": "x"}, "it has a key 'label', but only clean, corrupted, correct, wrong are read"),
    ],
)
def test_a_pair_that_cannot_be_compared_is_named(
    change: dict[str, Any], sentence: str, tokenizer: PromptTokenizer, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as refused:
        read(tokenizer, tmp_path, GOOD, GOOD | change)
    assert f"pair 1: {sentence}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_all_pairs_are_checked_before_any_is_refused(tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read(tokenizer, tmp_path, GOOD | {"clean": ""}, GOOD, GOOD | {"wrong": "alpha"}, *[{}] * 5)
    assert "pair 0: its clean prompt is empty; pair 2: token 2 is both" in str(refused.value)
    assert "and 2 more problems" in str(refused.value)


def test_prompts_of_one_position_are_refused(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(write_tiny_model(tmp_path / "model", bos=False))
    with pytest.raises(InputError, match="pair 0: its prompts have one position, so nothing can attend to anything"):
        read(tokenizer, tmp_path, {"clean": "alpha", "corrupted": "beta", "correct": 4, "wrong": 5})


def test_a_model_of_one_position_is_refused(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(write_tiny_model(tmp_path / "model", bos=False, n_positions=1))
    with pytest.raises(InputError, match=r"the model reads one position, .* take a model that reads at least two"):
        read(tokenizer, tmp_path, GOOD)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "should hold JSON, but cannot be read"),
        ("[]", "with at least one pair, and does not"),
        ('{"pairs": []}', "with at least one pair, and does not"),
        ('{"pairs": ["x"]}', 'pair 0: it should be an object with clean, corrupted, correct, wrong, got "x"'),
    ],
)
def test_a_file_without_pairs_is_refused(
    content: str, sentence: str, tokenizer: PromptTokenizer, tmp_path: Path
) -> None:
    (tmp_path / "pairs.json").write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_pairs(tmp_path / "pairs.json", tokenizer)
    with pytest.raises(InputError, match=r"cannot be read .* check the path"):
        read_pairs(tmp_path / "none.json", tokenizer)
