import json
from pathlib import Path
from typing import Any

import pytest

from circuitbase.errors import InputError, ModelError
from circuitbase.tracing.chat import rendered
from circuitbase.tracing.tokenizing import PromptTokenizer
from tests.tiny_configs import WORDS
from tests.tiny_models import write_tiny_model

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}{{ raise_exception('no system message') }}{% endif %}"
    "<unk>{{ 'is' if message.role == 'user' else 'of' }} {{ message['content'] | trim }}"
    "{% endfor %}{% if add_generation_prompt %}<unk>of{% endif %}"
)
ALPHA, BETA, IS, OF = (WORDS.index(word) + 2 for word in ("alpha", "beta", "is", "of"))
BOS, TURN = 0, 1


def chat_model(folder: Path, *, template: str = TEMPLATE, bos: bool = True) -> Path:
    write_tiny_model(folder / "model", bos=bos)
    (folder / "model" / "chat_template.jinja").write_text(template)
    return folder / "model"


def test_a_text_is_one_users_message_and_the_answer_is_next(tmp_path: Path) -> None:
    prompt = PromptTokenizer(chat_model(tmp_path)).read(" alpha beta ", chat=True)
    assert prompt.token_ids == (BOS, TURN, IS, ALPHA, BETA, TURN, OF)
    assert prompt.text == "<bos><unk>is alpha beta<unk>of"
    assert (prompt.chat, prompt.bos_added) == (True, False)


def test_the_text_of_a_chat_read_as_it_is_gives_the_same_tokens(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(chat_model(tmp_path))
    chat = tokenizer.read("alpha", chat=True)
    assert chat.text is not None
    again = tokenizer.read(chat.text)
    assert (again.token_ids, again.chat) == (chat.token_ids, False)


def test_a_conversation_is_its_messages_in_order(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "alpha"},
        {"role": "assistant", "content": "beta"},
        {"role": "user", "content": "beta"},
    ]
    prompt = PromptTokenizer(chat_model(tmp_path)).read(messages, chat=True)
    assert prompt.token_ids == (BOS, TURN, IS, ALPHA, TURN, OF, BETA, TURN, IS, BETA, TURN, OF)


@pytest.mark.parametrize("bos", [True, False])
def test_a_template_without_begin_of_sequence_gets_it_if_the_model_expects_one(bos: bool, tmp_path: Path) -> None:
    folder = chat_model(tmp_path, template=TEMPLATE.removeprefix("{{ bos_token }}"), bos=bos)
    prompt = PromptTokenizer(folder).read("alpha", chat=True)
    assert prompt.token_ids == (*((BOS,) if bos else ()), TURN, IS, ALPHA, TURN, OF)
    assert prompt.bos_added == bos


def test_a_template_in_the_tokenizers_settings_is_used_too(tmp_path: Path) -> None:
    folder = chat_model(tmp_path)
    (folder / "chat_template.jinja").unlink()
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": TEMPLATE}))
    assert rendered(folder, "alpha") == "<bos><unk>is alpha<unk>of"


def test_a_model_without_a_template_is_said_to_have_none(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(write_tiny_model(tmp_path / "model"))
    with pytest.raises(ModelError, match="has no chat template"):
        tokenizer.read("alpha", chat=True)


def test_messages_that_the_template_refuses_are_refused(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(chat_model(tmp_path))
    with pytest.raises(InputError, match=r"refuses the messages \(no system message\)"):
        tokenizer.read([{"role": "system", "content": "alpha"}], chat=True)


@pytest.mark.parametrize("messages", [[], [{"role": "user"}], [{"content": "alpha"}], [{"role": "user", "content": 1}]])
def test_messages_of_another_form_are_refused(messages: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a chat must be a text or a list of"):
        rendered(chat_model(tmp_path), messages)


def test_token_ids_and_messages_are_not_mixed_up(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(chat_model(tmp_path))
    with pytest.raises(InputError, match="token ids are traced as they are"):
        tokenizer.read([ALPHA, BETA], chat=True)
    with pytest.raises(InputError, match="ask for chat"):
        tokenizer.read([{"role": "user", "content": "alpha"}])


def test_a_span_of_the_message_is_found_behind_what_the_template_puts_in_front(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(chat_model(tmp_path))
    assert tokenizer.span_positions("alpha beta", (6, 10), chat=True) == [4]
    assert tokenizer.span_positions("  alpha beta", (2, 7), chat=True) == [3]


def test_a_span_is_refused_where_the_message_stands_twice(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer(chat_model(tmp_path))
    with pytest.raises(InputError, match=r"must stand once .* but stands there 2 times"):
        tokenizer.span_positions("of", (0, 2), chat=True)
