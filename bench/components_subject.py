"""A random model of GPT-2 small's shape, and random pairs of prompts: what component attribution is measured on."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from circuitbase.tracing.adapters import model_parts
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.pairs import Pair


@dataclass(frozen=True)
class ComponentSubject:
    """The same random weights as Hugging Face's module and by components."""

    module: Any
    components: ComponentModel


def gpt2_small(*, n_layers: int = 12, d_model: int = 768, n_heads: int = 12, seed: int = 0) -> ComponentSubject:
    """Returns a random GPT-2 of that shape with 50,257 tokens; biases are random too."""
    import transformers

    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        n_layer=n_layers, n_embd=d_model, n_head=n_heads, attn_implementation="eager", pad_token_id=None
    )
    module: Any = transformers.GPT2LMHeadModel(config).eval().requires_grad_(False)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            parameter.normal_(std=0.02)
    # component_model reads only these of a loaded model; saving and loading 500 MB would add nothing
    loaded: Any = SimpleNamespace(
        module=module, parts=model_parts(module, architecture_name="GPT2LMHeadModel"), device="cpu"
    )
    return ComponentSubject(module, component_model(loaded))


def random_pairs(*, n_pairs: int, n_tokens: int, seed: int = 0) -> list[Pair]:
    """Returns pairs of random prompts of GPT-2's tokens."""
    generator = torch.Generator().manual_seed(seed)

    def tokens(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(0, 50_257, (n,), generator=generator).tolist())

    return [Pair(tokens(n_tokens), tokens(n_tokens), (11,), (262,)) for _ in range(n_pairs)]
