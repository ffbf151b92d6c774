"""Prompts as the tokens a model reads. Uses the tokenizer alone, without torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.chat import Messages, place_of, rendered
from circuitbase.tracing.locating import locate
from circuitbase.tracing.model_config import ModelConfig, read_model_config


class PromptTokenizer:
    """The tokenizer of a model folder (or hub id), with what the model expects of a prompt."""

    def __init__(self, model_folder: str | Path) -> None:
        folder = locate(model_folder, what="model").folder
        self.folder = folder
        self.config: ModelConfig = read_model_config(folder)
        self._settings = _tokenizer_settings(folder)
        self._tokenizer = _backend(folder)
        self.special_tokens = frozenset(
            token for token, added in self._tokenizer.get_added_tokens_decoder().items() if added.special
        )
        self.bos_token = self._bos_token()
        self.expects_bos = self._expects_bos()

    def read(
        self, prompt: str | Sequence[int] | Messages, *, chat: bool = False, without_nodes: Sequence[int] = ()
    ) -> TracedPrompt:
        """Returns the tokens to trace, with the begin-of-sequence token in front if the model expects one.

        With `chat` the prompt is a conversation, or its one user's message, and goes through the
        model's chat template; the result's text is what that made of it. A special token at position
        0 gets no features and errors, nor do the positions `without_nodes`. Raises InputError for a
        prompt that is empty, too long, or has a token id out of range.
        """
        text, given = self._given(prompt, chat=chat)
        ids = self._with_bos(given)
        if not given or ids == [self.bos_token]:
            raise InputError("the prompt is empty; give at least one token beside the begin-of-sequence token")
        if len(ids) > self.config.n_positions:
            raise InputError(
                f"the prompt has {len(ids)} tokens, but the model reads at most {self.config.n_positions}; shorten it"
            )
        outside = [position for position in without_nodes if not 0 <= position < len(ids)]
        if outside:
            raise InputError(f"positions without nodes must be 0 to {len(ids) - 1}, got {outside[0]}")
        positions = {*without_nodes, *([0] if ids[0] in self.special_tokens else [])}
        if len(positions) == len(ids):
            raise InputError("every position of the prompt is one without nodes, so nothing is left to trace")
        return TracedPrompt(
            text=text,
            token_ids=tuple(ids),
            token_strings=tuple(self.token_string(token) for token in ids),
            positions_without_nodes=tuple(sorted(positions)),
            bos_added=len(ids) > len(given),
            chat=chat,
        )

    def one_token(self, text: str) -> int:
        """Returns the token that `text` is; raises InputError if it is several, none, or unknown."""
        ids = self._encode(text).ids
        if len(ids) == 1 and not self.is_unknown(ids[0]):
            return int(ids[0])
        if not ids:
            found = "it is none"
        elif any(self.is_unknown(token) for token in ids):
            found = "the tokenizer does not know it"
        else:
            found = f"it is {len(ids)}: {', '.join(repr(self.token_string(token)) for token in ids)}"
        raise InputError(
            f"{text!r} must be one token, but {found}; give one word of the vocabulary (a leading space counts)"
        )

    def span_positions(self, text: str, span: tuple[int, int], *, chat: bool = False) -> list[int]:
        """Returns the positions of the tokens that overlap characters [start, end) of the prompt.

        Positions count what `read` puts in front: the begin-of-sequence token, with `chat` what the
        template does. Raises InputError if no token lies there.
        """
        start, end = span
        inside = text[start:end]
        start, end = start + len(inside) - len(inside.lstrip()), end - len(inside) + len(inside.rstrip())
        if chat:
            whole = rendered(self.folder, text)
            before = place_of(text, inside=whole)
            text, start, end = whole, start + before, end + before
        encoded = self._encode(text)
        shift = len(self._with_bos(encoded.ids)) - len(encoded.ids)
        found = [
            position + shift
            for position, (left, right) in enumerate(encoded.offsets)
            if left < right and left < end and start < right
        ]
        if not found:
            raise InputError(f"the span {list(span)} of {text!r} covers no token; give [start, end) in characters")
        return found

    def token_string(self, token: int) -> str:
        """Returns a token as text; a part of a character as the tokenizer writes it."""
        text: str = self._tokenizer.decode([token], skip_special_tokens=False)
        if text and "\ufffd" not in text:
            return text
        return str(self._tokenizer.id_to_token(token) or f"<{token}>")

    @property
    def n_tokens(self) -> int:
        """Returns the number of tokens that have a text; a model's matrices may have further rows."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def is_unknown(self, token: int) -> bool:
        """Returns whether this is the token that stands for whatever the vocabulary lacks."""
        return token == self._unknown

    @property
    def _unknown(self) -> int | None:
        text = _token_text(self._settings.get("unk_token"))
        found = None if text is None else self._tokenizer.token_to_id(text)
        return None if found == self.bos_token else found  # GPT-2 names its one special token for everything

    def _given(self, prompt: str | Sequence[int] | Messages, *, chat: bool) -> tuple[str | None, list[int]]:
        """Returns the prompt's text (None of token ids) and its tokens."""
        first = None if isinstance(prompt, str) or not prompt else prompt[0]
        if not chat and isinstance(first, Mapping):
            raise InputError("a list of messages is read through the chat template; ask for chat")
        if chat and isinstance(first, int):
            raise InputError("token ids are traced as they are, without a chat template; give the chat as text")
        if chat:
            text = rendered(self.folder, prompt)  # type: ignore[arg-type]
        elif isinstance(prompt, str):
            text = prompt
        else:
            return None, self._checked(prompt)  # type: ignore[arg-type]
        return text, list(self._encode(text).ids)

    def _encode(self, text: str) -> Any:
        return self._tokenizer.encode(text, add_special_tokens=False)

    def _with_bos(self, ids: Sequence[int]) -> list[int]:
        if self.expects_bos and self.bos_token is not None and (not ids or ids[0] != self.bos_token):
            return [self.bos_token, *ids]
        return list(ids)

    def _checked(self, tokens: Sequence[int]) -> list[int]:
        wrong = [token for token in tokens if not 0 <= token < self.config.d_vocab]
        if wrong:
            raise InputError(f"token ids must be 0 to {self.config.d_vocab - 1}, got {', '.join(map(str, wrong))}")
        return list(tokens)

    def _bos_token(self) -> int | None:
        text = _token_text(self._settings.get("bos_token"))
        found = None if text is None else self._tokenizer.token_to_id(text)
        return self.config.bos_token if found is None else int(found)

    def _expects_bos(self) -> bool:
        added = self._tokenizer.encode("", add_special_tokens=True).ids
        return self.bos_token is not None and (
            added[:1] == [self.bos_token] or self._settings.get("add_bos_token") is True
        )


def _backend(folder: Path) -> Any:
    """Returns the `tokenizers.Tokenizer` of a folder; older folders are converted by transformers."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelError("reading prompts needs the package tokenizers; install circuitbase[trace]") from error
    path = folder / "tokenizer.json"
    try:
        if path.exists():
            return Tokenizer.from_file(str(path))
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except Exception as error:  # tokenizers raises plain Exception for a file that it cannot parse
        raise ModelError(f"the tokenizer in {folder} cannot be read ({error}); save it with the model") from error


def _tokenizer_settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path} should hold the tokenizer's settings as JSON, but cannot be read ({error})"
        ) from error
    return found if isinstance(found, dict) else {}


def _token_text(value: Any) -> str | None:
    """Returns the text of a special token, which older files keep as an object."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None
