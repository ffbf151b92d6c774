"""Random models with transcoders of a chosen shape: what attribution is measured on, the same for the same seed.

Both are ordinary folders, as transformers and circuit-tracer write them.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from bench.attribution_transcoder import transcoder

BOS = 0  # the special token in front of every prompt: its position has no features and errors
SAMPLED = 2048  # positions that the biases are set on
SAMPLED_LENGTH = 33
VERSION = 1  # raised when the same shape gives other weights


@dataclass(frozen=True)
class Shape:
    """A model and its transcoders; `active` is the mean number of active features per layer and position."""

    n_layers: int = 12
    d_model: int = 768
    n_heads: int = 12
    d_vocab: int = 50257
    n_positions: int = 128
    n_features: int = 24_576
    active: float = 47.0
    seed: int = 0

    @property
    def name(self) -> str:
        """Returns a folder's name that differs for every shape."""
        values = "-".join(f"{value:g}" for value in asdict(self).values())
        return f"shape-{VERSION}-{values}"


@dataclass(frozen=True)
class Subject:
    """Where a random model and its transcoders lie, and what they are."""

    shape: Shape
    model: Path
    transcoders: Path


@torch.no_grad()
def subject(shape: Shape, folder: Path) -> Subject:
    """Returns the model of that shape in a cache folder, made if it is not there."""
    home = folder / shape.name
    found = Subject(shape, home / "random-gpt2", home / "transcoders")
    if not (home / "made").exists():
        shutil.rmtree(home, ignore_errors=True)
        generator = torch.Generator().manual_seed(shape.seed)
        module = _write_model(found, generator)
        _write_transcoders(found, module, generator)
        (home / "made").write_text(json.dumps(asdict(shape)))
    return found


def token_ids(shape: Shape, n_tokens: int, *, seed: int = 0) -> list[int]:
    """Returns a random prompt of `n_tokens` behind the begin-of-sequence token."""
    generator = torch.Generator().manual_seed(1_000_003 * (seed + 1) + shape.seed)
    return [BOS, *torch.randint(1, shape.d_vocab, (n_tokens,), generator=generator).tolist()]


def _write_model(found: Subject, generator: torch.Generator) -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    shape = found.shape
    config = GPT2Config(
        vocab_size=shape.d_vocab,
        n_positions=shape.n_positions,
        n_embd=shape.d_model,
        n_layer=shape.n_layers,
        n_head=shape.n_heads,
        bos_token_id=BOS,
        eos_token_id=BOS,
    )
    module = GPT2LMHeadModel(config).eval()
    for name, parameter in module.named_parameters():
        random = torch.randn(parameter.shape, generator=generator)
        if ".ln_" in name and name.endswith("weight"):
            parameter.copy_(1 + 0.1 * random)
        else:
            parameter.copy_(_spread(name, n_layers=shape.n_layers) * random)
    with silently():
        module.save_pretrained(found.model)
    write_tokenizer(found.model, d_vocab=shape.d_vocab, n_positions=shape.n_positions)
    return module


@contextmanager
def silently() -> Iterator[None]:
    """Keeps transformers from drawing progress bars."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()


def _spread(name: str, *, n_layers: int) -> float:
    """Returns a weight's standard deviation: GPT-2's, with tokens so large that prompts do not differ in activity."""
    if name.endswith("wte.weight"):
        return 0.1
    return 0.02 / (2 * n_layers) ** 0.5 if name.endswith("c_proj.weight") else 0.02


def write_tokenizer(folder: Path, *, d_vocab: int, n_positions: int) -> None:
    """Writes a tokenizer whose token k is the word `tk`, with the special token <bos> as token 0."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"<bos>": BOS, **{f"t{token}": token for token in range(1, d_vocab)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<bos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<bos>",
        unk_token="<bos>",
        model_max_length=n_positions,
    ).save_pretrained(folder)


def _write_transcoders(found: Subject, module: Any, generator: torch.Generator) -> None:
    shape = found.shape
    found.transcoders.mkdir(parents=True)
    settings = {
        "model_name": found.model.name,
        "model_kind": "transcoder_set",
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "mlp.hook_out",
        "scan": "random",
    }
    (found.transcoders / "config.yaml").write_text(yaml.safe_dump(settings))
    prompts = torch.randint(
        1, shape.d_vocab, (-(-SAMPLED // (SAMPLED_LENGTH - 1)), SAMPLED_LENGTH), generator=generator
    )
    prompts[:, 0] = BOS
    with _mlps_recorded(module) as seen:
        module(prompts)
    for layer, (r, y) in enumerate(seen):
        weights = transcoder(r, y, n_features=shape.n_features, active=shape.active, generator=generator)
        save_file(weights, found.transcoders / f"layer_{layer}.safetensors")


@contextmanager
def _mlps_recorded(module: Any) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Yields a list that a forward pass fills with each MLP's inputs and outputs behind position 0."""
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_module: Any, given: Any, result: Any) -> None:
        seen.append((given[0][:, 1:].flatten(0, 1), result[:, 1:].flatten(0, 1)))

    handles: list[Any] = [block.mlp.register_forward_hook(keep) for block in module.transformer.h]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
