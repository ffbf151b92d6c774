"""The modules of a Hugging Face model by what they do, and their definitions: written down a second time, for tests.

Nothing here uses the tracer. Attention is pinned by putting another function in place of the one that the module
calls with its queries, keys and values, so that whatever layout they come from is the module's own business.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

LLAMA = ("self_attn", "o_proj", "input_layernorm", None, "post_attention_layernorm", None)
GEMMA = (
    "self_attn",
    "o_proj",
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)
# model type -> blocks, final norm, and of a block: attention, its output, norms before and after attention and MLP
NAMES: dict[str, tuple[str, str, tuple[str | None, ...]]] = {
    "gpt2": ("transformer.h", "transformer.ln_f", ("attn", "c_proj", "ln_1", None, "ln_2", None)),
    "gpt_neox": (
        "gpt_neox.layers",
        "gpt_neox.final_layer_norm",
        ("attention", "dense", "input_layernorm", None, "post_attention_layernorm", None),
    ),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "phi3"), ("model.layers", "model.norm", LLAMA)),
    **dict.fromkeys(("gemma2", "gemma3_text"), ("model.layers", "model.norm", GEMMA)),
    "gemma3": ("model.language_model.layers", "model.language_model.norm", GEMMA),
    "olmo2": (
        "model.layers",
        "model.norm",
        ("self_attn", "o_proj", None, "post_attention_layernorm", None, "post_feedforward_layernorm"),
    ),
}


@dataclass(frozen=True)
class HookedBlock:
    """A block's modules; a norm that it lacks is None. `output` takes the joined values of the heads."""

    attention: nn.Module
    output: nn.Module
    mlp: nn.Module
    attention_norm: nn.Module | None
    attention_post_norm: nn.Module | None
    mlp_norm: nn.Module | None
    mlp_post_norm: nn.Module | None

    def norms(self) -> dict[str, nn.Module]:
        """Returns the norms that there are, by name."""
        names = ("attention_norm", "attention_post_norm", "mlp_norm", "mlp_post_norm")
        return {name: norm for name in names if (norm := getattr(self, name)) is not None}


def hooked_blocks(module: nn.Module) -> list[HookedBlock]:
    """Returns the modules of every block of a Hugging Face model."""
    blocks, _, (attention, output, *norms) = NAMES[_model_type(module)]
    return [
        HookedBlock(
            getattr(block, str(attention)),
            getattr(getattr(block, str(attention)), str(output)),
            block.mlp,
            *(None if name is None else getattr(block, name) for name in norms),
        )
        for block in module.get_submodule(blocks)  # type: ignore[union-attr]
    ]


def final_norm(module: nn.Module) -> nn.Module:
    """Returns the norm before the unembedding."""
    return module.get_submodule(NAMES[_model_type(module)][1])


def normalized(norm: nn.Module, x: Tensor, *, measured_on: Tensor) -> Tensor:
    """Returns what a norm makes of x before its weight and bias, with the denominators of another input."""
    if isinstance(norm, nn.LayerNorm):
        spread = measured_on.var(-1, unbiased=False, keepdim=True) + norm.eps
        return (x - x.mean(-1, keepdim=True)) / spread.sqrt()
    found: Any = norm
    epsilon = found.eps if hasattr(found, "eps") else found.variance_epsilon
    return x / (measured_on.square().mean(-1, keepdim=True) + epsilon).sqrt()


def weighted(norm: nn.Module, n: Tensor) -> Tensor:
    """Returns a norm's output from what it is before its weight and bias."""
    found: Any = norm
    if isinstance(norm, nn.LayerNorm):
        return n * found.weight + found.bias
    return n * (1 + found.weight if "Gemma" in type(norm).__name__ else found.weight)


@contextmanager
def attention_function(attention: nn.Module, replace: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator:
    """Puts `replace(original)` in place of the function that all attention modules of this class call."""
    file = sys.modules[type(attention).__module__]
    original = file.eager_attention_forward
    file.eager_attention_forward = replace(original)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        file.eager_attention_forward = original  # type: ignore[attr-defined]


def mixed(pattern: Tensor, value: Tensor) -> Tensor:
    """Returns [prompt, position, head, d_head]: the heads' patterns times the values of their groups."""
    by_head = value.repeat_interleave(pattern.shape[0] // value.shape[1], dim=1)
    return (pattern @ by_head).transpose(1, 2)


def _model_type(module: nn.Module) -> str:
    config: Any = module.config
    return str(config.model_type)
