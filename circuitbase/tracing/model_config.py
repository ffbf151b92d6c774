"""What a model's config.json says of its size."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.architectures import architecture

# our word -> the keys that architectures use for it
KEYS = {
    "n_layers": ("n_layer", "num_hidden_layers"),
    "d_model": ("n_embd", "hidden_size"),
    "d_vocab": ("vocab_size",),
    "n_positions": ("n_positions", "max_position_embeddings"),
    "n_heads": ("n_head", "num_attention_heads"),
}


@dataclass(frozen=True)
class ModelConfig:
    """A model's architecture and sizes; `n_positions` is the longest prompt it reads."""

    architecture: str
    n_layers: int
    d_model: int
    d_vocab: int
    n_positions: int
    n_heads: int
    bos_token: int | None


def read_model_config(folder: Path) -> ModelConfig:
    """Returns what `folder/config.json` says; raises ModelError if it does not describe a supported model.

    A model that reads more than text says it under `text_config`. What is left out there has the
    default of its architecture, which transformers knows.
    """
    path = folder / "config.json"
    found = _read(path)
    names = found.get("architectures")
    if not isinstance(names, list) or not names:
        raise ModelError(
            f"{path} should name the model's `architectures`, but does not; save the model with transformers"
        )
    try:
        name = architecture(str(names[0])).name
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    inner = found.get("text_config")
    if isinstance(inner, dict):
        stated = {**found, **inner}
        lacks = any(all(key not in stated for key in keys) for keys in KEYS.values())
        found = {**_with_defaults(folder), **stated} if lacks else stated
    sizes = {word: _size(found, word, path) for word in KEYS}
    bos = found.get("bos_token_id")
    return ModelConfig(architecture=name, bos_token=bos if isinstance(bos, int) else None, **sizes)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(
            f"{path.parent} should be a Hugging Face model folder, but its config.json cannot be read "
            f"({error.strerror}); check the path"
        ) from error
    except ValueError as error:
        raise ModelError(f"{path} should hold a model's configuration as JSON, but does not ({error})") from error
    return found if isinstance(found, dict) else {}


def _with_defaults(folder: Path) -> dict[str, Any]:
    from transformers import AutoConfig  # seconds, which other folders need not wait for

    try:
        complete: dict[str, Any] = AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config().to_dict()
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be read by transformers ({error}); correct it") from error
    return complete


def _size(found: dict[str, Any], word: str, path: Path) -> int:
    for key in KEYS[word]:
        value = found.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    raise ModelError(f"{path} should give {' or '.join(KEYS[word])} as a positive integer, but does not; correct it")
