"""One prompt's forward pass through the original model, with everything that the frozen model is made of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuitbase.errors import ModelError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.parts import Parts


@dataclass(frozen=True)
class LayerRun:
    """What one block did: the inputs of its norms, its attention pattern, what its MLP read and wrote."""

    attention_norm_input: Float[Tensor, "position d_model"]
    pattern: Float[Tensor, "head position position"]
    mlp_norm_input: Float[Tensor, "position d_model"]
    mlp_norm_output: Float[Tensor, "position d_model"]
    mlp_output: Float[Tensor, "position d_model"]


@dataclass(frozen=True)
class PromptRun:
    """A forward pass; `embedding` is that of the tokens alone, `logits` those of the last position."""

    embedding: Float[Tensor, "position d_model"]
    layers: tuple[LayerRun, ...]
    final_norm_input: Float[Tensor, "position d_model"]
    logits: Float[Tensor, " token"]


@torch.no_grad()
def run_prompt(model: TracedModel, prompt: TracedPrompt) -> PromptRun:
    """Returns what the model does on a prompt, alone in its batch; raises ModelError if its logits are not finite."""
    tokens = torch.tensor([prompt.token_ids], device=model.device)
    with recorded(model.parts) as seen:
        logits = model.module(input_ids=tokens, use_cache=False).logits
    if not torch.isfinite(logits[0, -1]).all():
        raise ModelError(
            f"the model {model.identity.id} should give finite logits on this prompt in {model.dtype}, but does not; "
            "check its weights"
        )
    return PromptRun(
        embedding=seen["embedding"],
        layers=tuple(
            LayerRun(
                attention_norm_input=seen[f"{layer}.attention_norm_input"],
                pattern=seen[f"{layer}.pattern"],
                mlp_norm_input=seen[f"{layer}.mlp_norm_input"],
                mlp_norm_output=seen[f"{layer}.mlp_norm_output"],
                mlp_output=seen[f"{layer}.mlp_output"],
            )
            for layer in range(len(model.parts.blocks))
        ),
        final_norm_input=seen["final_norm_input"],
        logits=logits[0, -1],
    )


@contextmanager
def recorded(parts: Parts) -> Iterator[dict[str, Tensor]]:
    """Yields a dictionary that forward passes fill with the first prompt of their batch."""
    seen: dict[str, Tensor] = {}

    def keep(name: str, found: Callable[[Any, Any], Tensor]) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, given: Any, result: Any) -> None:
            seen[name] = found(given, result)[0]

        return hook

    hooks = [(parts.embedding, keep("embedding", _result)), (parts.final_norm.module, keep("final_norm_input", _given))]
    for layer, block in enumerate(parts.blocks):
        hooks += [
            (block.attention_norm.module, keep(f"{layer}.attention_norm_input", _given)),
            (block.attention.module, keep(f"{layer}.pattern", _second_result)),
            (block.mlp_norm.module, keep(f"{layer}.mlp_norm_input", _given)),
            (block.mlp_norm.module, keep(f"{layer}.mlp_norm_output", _result)),
            (block.mlp, keep(f"{layer}.mlp_output", _result)),
        ]
    handles = [module.register_forward_hook(hook) for module, hook in hooks]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _given(given: Any, _result: Any) -> Tensor:
    found: Tensor = given[0]
    return found


def _result(_given: Any, result: Any) -> Tensor:
    found: Tensor = result[0] if isinstance(result, tuple) else result
    return found


def _second_result(_given: Any, result: Any) -> Tensor:
    found: Tensor = result[1]
    return found
