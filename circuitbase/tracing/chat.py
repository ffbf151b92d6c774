"""Conversations as the text a chat model reads, by the template that comes with its tokenizer."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from circuitbase.errors import InputError, ModelError

Messages = Sequence[Mapping[str, str]]


def rendered(folder: Path, prompt: str | Messages) -> str:
    """Returns a conversation as a model reads it, up to where its answer begins; a text is one user's message.

    Raises InputError for messages that are none or that the template refuses, ModelError if the
    model in `folder` has no chat template.
    """
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else _checked(prompt)
    tokenizer = _tokenizer(folder)
    if tokenizer.chat_template is None:
        raise ModelError(
            f"the model in {folder} has no chat template (chat_template.jinja, or chat_template in "
            "tokenizer_config.json); give a chat model, or the prompt as plain text"
        )
    from jinja2.exceptions import TemplateError

    try:
        text: str = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise InputError(f"the chat template of {folder} refuses the messages ({error}); correct them") from error
    return text


def place_of(text: str, *, inside: str) -> int:
    """Returns where a user's message begins in what `rendered` made of it; raises InputError if that is not clear."""
    within = text.strip()  # templates trim what they are given
    if inside.count(within) != 1:
        raise InputError(
            f"{text!r} must stand once in what the chat template makes of it, but stands there "
            f"{inside.count(within)} times, so where its spans lie is unknown; leave out the spans"
        )
    return inside.index(within) - text.index(within)


@lru_cache(maxsize=2)  # a set's prompts come one by one
def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer  # seconds, which plain prompts need not wait for

    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"the tokenizer in {folder} cannot be read ({error}); save it with the model") from error


def _checked(messages: Messages) -> list[dict[str, str]]:
    wrong = [
        message
        for message in messages
        if not isinstance(message, Mapping) or not all(isinstance(message.get(key), str) for key in ("role", "content"))
    ]
    if wrong or not messages:
        raise InputError(
            'a chat must be a text or a list of {"role": ..., "content": ...}, both texts, '
            f"got {repr(wrong[0]) if wrong else 'an empty list'}"
        )
    return [dict(message) for message in messages]
