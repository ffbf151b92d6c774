import json
from pathlib import Path

import pytest

from circuitbase.errors import InputError, ModelError
from circuitbase.tracing.tokenizing import PromptTokenizer
from tests.tiny_models import WORDS, write_tiny_model

THE, ALPHA, OF = (WORDS.index(word) + 2 for word in ("the", "alpha", "of"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tokens") / "model")


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PromptTokenizer:
    return PromptTokenizer(folder)


@pytest.fixture
def without_bos(tmp_path: Path) -> PromptTokenizer:
    return PromptTokenizer(write_tiny_model(tmp_path / "model", bos=False))


def test_a_begin_of_sequence_token_is_added_and_gets_no_nodes(tokenizer: PromptTokenizer) -> None:
    prompt = tokenizer.read("the alpha of")
    assert prompt.token_ids == (0, THE, ALPHA, OF)
    assert prompt.token_strings == ("<bos>", "the", "alpha", "of")
    assert prompt.positions_without_nodes == (0,)
    assert prompt.text == "the alpha of"


def test_it_is_not_added_twice(tokenizer: PromptTokenizer) -> None:
    assert tokenizer.read("<bos> the alpha of").token_ids == (0, THE, ALPHA, OF)
    assert tokenizer.read([0, THE]).token_ids == (0, THE)


def test_it_is_added_to_token_ids_that_lack_it(tokenizer: PromptTokenizer) -> None:
    prompt = tokenizer.read([THE, ALPHA])
    assert (prompt.token_ids, prompt.text) == ((0, THE, ALPHA), None)


def test_whether_it_was_added_is_kept(tokenizer: PromptTokenizer, without_bos: PromptTokenizer) -> None:
    assert tokenizer.read("the").bos_added
    assert tokenizer.read([THE]).bos_added
    assert not tokenizer.read("<bos> the").bos_added
    assert not tokenizer.read([0, THE]).bos_added
    assert not without_bos.read("the").bos_added


def test_a_model_that_expects_none_gets_none(without_bos: PromptTokenizer) -> None:
    prompt = without_bos.read("the alpha of")
    assert (prompt.token_ids, prompt.positions_without_nodes) == ((THE, ALPHA, OF), ())


def test_a_special_token_that_was_given_has_no_nodes_either(without_bos: PromptTokenizer) -> None:
    assert without_bos.read([0, THE]).positions_without_nodes == (0,)


def test_a_tokenizers_setting_can_ask_for_it(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model", bos=False)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "add_bos_token": True}))
    assert PromptTokenizer(folder).read("the").token_ids == (0, THE)


def test_more_positions_without_nodes_can_be_given(tokenizer: PromptTokenizer) -> None:
    assert tokenizer.read("the alpha of", without_nodes=[2]).positions_without_nodes == (0, 2)
    with pytest.raises(InputError, match="positions without nodes must be 0 to 3, got 4"):
        tokenizer.read("the alpha of", without_nodes=[4])
    with pytest.raises(InputError, match="nothing is left to trace"):
        tokenizer.read("the", without_nodes=[1])


@pytest.mark.parametrize("prompt", ["", "  ", "\n", [], [0], "<bos>"])
def test_an_empty_prompt_is_refused(prompt: str | list[int], tokenizer: PromptTokenizer) -> None:
    with pytest.raises(InputError, match="the prompt is empty"):
        tokenizer.read(prompt)


def test_a_prompt_longer_than_the_context_is_refused(tokenizer: PromptTokenizer) -> None:
    assert len(tokenizer.read("the " * 15).token_ids) == 16
    with pytest.raises(InputError, match="the prompt has 17 tokens, but the model reads at most 16"):
        tokenizer.read("the " * 16)


@pytest.mark.parametrize("token", [-1, 29, 10**9])
def test_a_token_id_out_of_range_is_refused(token: int, tokenizer: PromptTokenizer) -> None:
    with pytest.raises(InputError, match=f"token ids must be 0 to 28, got {token}"):
        tokenizer.read([THE, token])


def test_an_answer_must_be_one_token(tokenizer: PromptTokenizer) -> None:
    assert tokenizer.one_token("alpha") == ALPHA
    assert tokenizer.one_token(" alpha") == ALPHA
    for text, reason in (
        ("alpha of", "it is 2: 'alpha', 'of'"),
        ("zonk", "the tokenizer does not know it"),
        (" ", "it is none"),
    ):
        with pytest.raises(InputError, match=f"must be one token, but {reason}"):
            tokenizer.one_token(text)


def test_a_span_of_characters_is_the_tokens_it_overlaps(
    tokenizer: PromptTokenizer, without_bos: PromptTokenizer
) -> None:
    text = "the alpha of beta"
    assert tokenizer.span_positions(text, (4, 9)) == [2]
    assert without_bos.span_positions(text, (4, 9)) == [1]
    assert tokenizer.span_positions(text, (4, 12)) == [2, 3]
    assert tokenizer.span_positions(text, (3, 10)) == [2]  # spaces at its ends belong to no token
    assert tokenizer.span_positions(text, (6, 7)) == [2]
    with pytest.raises(InputError, match="covers no token"):
        tokenizer.span_positions(text, (3, 4))


def test_a_byte_level_token_shows_its_space_and_half_a_character_as_it_is_written(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    folder = write_tiny_model(tmp_path / "model", bos=False)
    vocabulary = {"Ġthe": 0, "Ã": 1, "©": 2, "the": 3}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))
    found = PromptTokenizer(folder)
    assert [found.token_string(token) for token in (0, 1, 3)] == [" the", "Ã", "the"]


def test_a_model_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"the tokenizer in .* cannot be read"):
        PromptTokenizer(folder)


def test_a_folder_of_the_older_layout_is_read_by_transformers(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    vocabulary = {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "<|endoftext|>": 4}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    assert PromptTokenizer(folder).read("ab a").token_ids == (3, 2, 0)
