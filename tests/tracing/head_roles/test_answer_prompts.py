from pathlib import Path

import pytest

from circuitbase.demo.packaged import model_folder, prompt_sets
from circuitbase.errors import InputError
from circuitbase.store.prompt_file import read_prompts
from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt, with_roles_exchanged
from circuitbase.tracing.head_roles.model_tokens import answer_prompts, token_pool, vocabulary
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.ordered_lists import ordered_lists
from circuitbase.tracing.tokenizing import PromptTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PromptTokenizer:
    return PromptTokenizer(model_folder())


def lines(folder: Path, *texts: str):
    path = folder / "prompts.jsonl"
    path.write_text("\n".join(texts))
    return read_prompts(str(path), standard_input=[])


def test_the_last_of_two_distractors_becomes_the_answer() -> None:
    found = with_roles_exchanged(AnswerPrompt((0, 7, 8, 9, 8, 5), (7,), (8,)))
    assert found.corrupted == (0, 7, 8, 9, 7, 5)


@pytest.mark.parametrize(
    "prompt",
    [
        AnswerPrompt((0, 7, 8, 9), (7,), (8,)),
        AnswerPrompt((0, 8, 9, 8), (7,), (8,)),
        AnswerPrompt((0, 7, 8, 8), (7,)),
        AnswerPrompt((0, 7, 8, 8), (7,), (8,), corrupted=(0, 1, 2, 3)),
    ],
)
def test_other_prompts_stay_as_they_are(prompt: AnswerPrompt) -> None:
    assert with_roles_exchanged(prompt) == prompt


def test_a_corrupted_prompt_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match="must have the same length, but have 2 and 3 tokens"):
        AnswerPrompt((0, 7), (7,), corrupted=(0, 7, 8))


def test_a_packaged_prompt_set_is_read_with_its_corrupted_prompts(tokenizer: PromptTokenizer) -> None:
    source = str(prompt_sets()["indirect-object"])
    found = answer_prompts(read_prompts(source, standard_input=[]), tokenizer, source=source)
    assert len(found) == 12
    for prompt in found:
        assert prompt.corrupted is not None
        (place,) = [k for k, (a, b) in enumerate(zip(prompt.tokens, prompt.corrupted, strict=True)) if a != b]
        assert (prompt.tokens[place], prompt.corrupted[place]) == (prompt.distractors[0], prompt.answers[0])


def test_every_line_that_cannot_be_used_is_named(tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    given = lines(tmp_path, '{"prompt": "Tom and Ann"}', "[]", '{"prompt": "Tom", "answer": "Tom and"}')
    with pytest.raises(InputError, match=r"line 1: it has no answer; line 2: .*; line 3: 'Tom and' must be one token"):
        answer_prompts(given, tokenizer, source="prompts.jsonl")


def test_a_file_without_prompts_is_refused(tokenizer: PromptTokenizer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no prompt"):
        answer_prompts(lines(tmp_path, ""), tokenizer, source="prompts.jsonl")


def test_the_vocabulary_has_no_special_tokens(tokenizer: PromptTokenizer) -> None:
    assert vocabulary(tokenizer).tolist() == list(range(3, 487))


def test_random_tokens_can_be_those_of_prompts(tokenizer: PromptTokenizer) -> None:
    pool = token_pool(tokenizer, HeadRoleOptions(), only=[(0, 9, 9, 4)])
    assert pool.tokens.tolist() == [4, 9]
    assert pool.before == 0


def test_sequences_that_the_model_cannot_read_are_refused(tokenizer: PromptTokenizer) -> None:
    with pytest.raises(InputError, match="longest random sequence has 81 tokens, but the model reads at most 64"):
        token_pool(tokenizer, HeadRoleOptions(periods=(40,)))


def test_ordered_lists_are_found_in_the_vocabulary_and_none_is_a_part_of_another(tokenizer: PromptTokenizer) -> None:
    (years,) = ordered_lists(tokenizer)
    assert [tokenizer.token_string(token) for token in years.tokens] == [f"{year:02d}" for year in range(50)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"periods": (2, 5)}, "periods of repeated tokens must be 3 or more"),
        ({"periods": ()}, "periods of repeated tokens must be 3 or more"),
        ({"sequences": 1, "seeds": (0,)}, "need at least two sequences in all"),
        ({"length": 1}, "must have at least 2 tokens, got 1"),
        ({"tokens": 1}, "measured on at least 2 tokens"),
        ({"bounds": {}}, "there is none for previous_token, duplicate_token"),
    ],
)
def test_options_without_meaning_are_refused(settings, said: str) -> None:
    with pytest.raises(InputError, match=said):
        HeadRoleOptions(**settings)
