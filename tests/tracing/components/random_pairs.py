"""Tiny random models by their components, and random pairs of prompts for them."""

from pathlib import Path
from typing import Any

import torch

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.models import load_model
from tests.tiny_models import write_tiny_model

# what differs between architectures: norms, groups, rotations, caps, windows, norms of queries, parallel blocks
VARIED = (
    "GPT2LMHeadModel",
    "GPTNeoXForCausalLM",
    "LlamaForCausalLM",
    "Qwen3ForCausalLM",
    "Gemma2ForCausalLM",
    "Olmo2ForCausalLM",
)


def tiny(
    folder: Path, architecture: str = "GPT2LMHeadModel", *, dtype: Any = "float64", **sizes: Any
) -> ComponentModel:
    """Returns a tiny random model by its components."""
    place = folder / f"{architecture}-{sorted(sizes.items())}"
    if not place.exists():
        write_tiny_model(place, architecture=architecture, scale=1.5, **sizes)
    return component_model(load_model(place, dtype=dtype, device="cpu"))


def random_pairs(lengths: tuple[int, ...] = (6, 6), *, seed: int = 0) -> list[Pair]:
    """Returns random pairs of prompts of these lengths; a fifth of the tokens are the same in both."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(n: int) -> list[int]:
        return torch.randint(2, 26, (n,), generator=generator).tolist()

    found = []
    for length in lengths:
        clean, other, kept = tokens(length), tokens(length), torch.rand(length, generator=generator) < 0.2
        corrupted = [a if same else b for a, b, same in zip(clean, other, kept.tolist(), strict=True)]
        correct, wrong = torch.randperm(26, generator=generator)[:2].tolist()
        found.append(Pair(tuple(clean), tuple(corrupted), (correct,), (wrong,)))
    return found
