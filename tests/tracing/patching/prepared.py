"""Tiny random models and pairs, for identities that hold in any model."""

from pathlib import Path

import torch

from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.metrics import metric_for
from circuitbase.tracing.components.pairs import Pair
from circuitbase.tracing.models import load_model
from circuitbase.tracing.patching.paired import PairedPrompts, paired_prompts
from tests.tiny_models import write_tiny_model

# sequential; parallel; norms behind attention and MLP, soft caps, grouped keys and values
ARCHITECTURES = ("GPT2LMHeadModel", "GPTNeoXForCausalLM", "Gemma2ForCausalLM")


def tiny_components(folder: Path, architecture: str = "GPT2LMHeadModel", *, n_layers: int = 3) -> ComponentModel:
    """Returns a random model by its components, in float64."""
    write_tiny_model(folder / "model", architecture=architecture, n_layers=n_layers, scale=2.0)
    return component_model(load_model(folder / "model", dtype="float64", device="cpu"))


def random_pairs(n: int = 3, *, length: int = 6, lengths: tuple[int, ...] = ()) -> list[Pair]:
    """Returns pairs that differ at two positions."""
    generator = torch.Generator().manual_seed(1)
    found = []
    for number in range(n):
        size = lengths[number] if lengths else length
        clean = torch.randint(2, 26, (size,), generator=generator).tolist()
        corrupted = list(clean)
        for position in (1, 3):
            corrupted[position] = 2 + (corrupted[position] + 5 + number) % 24
        found.append(Pair(tuple(clean), tuple(corrupted), correct=(3, 4 + number), wrong=(12,)))
    return found


def prepared(model: ComponentModel, pairs: list[Pair], *, metric: str = "logit-difference") -> PairedPrompts:
    """Returns pairs of one length as one batch."""
    (batch,) = pair_batches(pairs, batch_size=len(pairs), causal=model.causal, device=model.W_U.device)
    return paired_prompts(model, batch, metric_for(metric, pairs))  # type: ignore[arg-type]
