"""A prompt's forward pass through the original model, with everything that the frozen model is made of."""

from collections.abc import Callable, Iterator, Sequence
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
    """What one block did on a prompt; of each part what it put out, and what it wrote behind a norm after it.

    `before_mlp` is the residual stream that the MLP's norm reads: in a parallel block the block's input.
    """

    input: Float[Tensor, "position d_model"]
    pattern: Float[Tensor, "head position position"]
    head_values: Float[Tensor, "position head_d_head"]
    attention_output: Float[Tensor, "position d_model"]
    attention_write: Float[Tensor, "position d_model"]
    before_mlp: Float[Tensor, "position d_model"]
    mlp_input: Float[Tensor, "position d_model"]
    mlp_output: Float[Tensor, "position d_model"]
    mlp_write: Float[Tensor, "position d_model"]


@dataclass(frozen=True)
class PromptRun:
    """A forward pass; `embedding` is that of the tokens alone, `logits` those of the last position.

    `final` is the residual stream after the last block. Whatever the model's dtype, the numbers are in
    float32 or float64.
    """

    embedding: Float[Tensor, "position d_model"]
    layers: tuple[LayerRun, ...]
    final: Float[Tensor, "position d_model"]
    final_norm_output: Float[Tensor, "position d_model"]
    logits: Float[Tensor, " token"]


@torch.no_grad()
def run_prompts(model: TracedModel, prompts: Sequence[TracedPrompt]) -> list[PromptRun]:
    """Returns what the model does on prompts of one length, run as one batch.

    Raises ModelError if a prompt's logits are not finite.
    """
    tokens = torch.tensor([prompt.token_ids for prompt in prompts], device=model.device)
    with recorded(model.parts) as seen:
        logits = model.module(input_ids=tokens, use_cache=False).logits[:, -1]
    if not torch.isfinite(logits).all():
        raise ModelError(
            f"the model {model.identity.id} should give finite logits on this prompt in {model.dtype}, but does not; "
            "check its weights"
        )
    numbers = {name: wide(found).to(model.device) for name, found in seen.items()}
    logits = wide(logits).to(model.device)
    return [
        _of_prompt(model.parts, {name: found[place] for name, found in numbers.items()}, logits[place])
        for place in range(len(prompts))
    ]


def wide(numbers: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """Returns numbers in float32 where they are in less."""
    return numbers.float() if numbers.element_size() < 4 else numbers


def _of_prompt(parts: Parts, seen: dict[str, Tensor], logits: Float[Tensor, " token"]) -> PromptRun:
    first = seen["0.input"]
    return PromptRun(
        embedding=seen.get("embedding", first),
        layers=tuple(_layer(layer, seen) for layer in range(len(parts.blocks))),
        final=seen["final"],
        final_norm_output=seen["final_norm_output"],
        logits=logits,
    )


def _layer(layer: int, seen: dict[str, Tensor]) -> LayerRun:
    attention, mlp = seen[f"{layer}.attention_output"], seen[f"{layer}.mlp_output"]
    return LayerRun(
        input=seen[f"{layer}.input"],
        pattern=seen[f"{layer}.pattern"],
        head_values=seen[f"{layer}.head_values"],
        attention_output=attention,
        attention_write=seen.get(f"{layer}.attention_write", attention),
        before_mlp=seen.get(f"{layer}.before_mlp", seen[f"{layer}.mlp_input"]),
        mlp_input=seen[f"{layer}.mlp_input"],
        mlp_output=mlp,
        mlp_write=seen.get(f"{layer}.mlp_write", mlp),
    )


@contextmanager
def recorded(parts: Parts) -> Iterator[dict[str, Tensor]]:
    """Yields what forward passes fill in: [prompt, position, d_model], patterns [prompt, head, query, key]."""
    seen: dict[str, Tensor] = {}
    handles: list[Any] = []

    def keep(module: nn.Module, **found: Callable[[Tensor, Any], Tensor]) -> None:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
            given = args[0] if args else kwargs["hidden_states"]
            seen.update({names[name]: read(given, result) for name, read in found.items()})

        names = {name: f"{prefix}{name}" for name in found}
        handles.append(module.register_forward_hook(hook, with_kwargs=True))

    prefix = ""
    if parts.embedding is not None:
        keep(parts.embedding, embedding=_result)
    keep(parts.final_norm.module, final=_given, final_norm_output=_result)
    for layer, block in enumerate(parts.blocks):
        prefix = f"{layer}."
        keep(block.module, input=_given)
        keep(block.attention.module, attention_output=_result, pattern=_pattern)
        keep(block.attention.output, head_values=_given)
        keep(block.mlp, mlp_input=_given, mlp_output=_result)
        if block.mlp_norm is not None:
            keep(block.mlp_norm.module, before_mlp=_given)
        if block.attention_post_norm is not None:
            keep(block.attention_post_norm.module, attention_write=_result)
        if block.mlp_post_norm is not None:
            keep(block.mlp_post_norm.module, mlp_write=_result)
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _given(given: Tensor, _result: Any) -> Tensor:
    return given


def _result(_given: Tensor, result: Any) -> Tensor:
    found: Tensor = result[0] if isinstance(result, tuple) else result
    return found


def _pattern(_given: Tensor, result: Any) -> Tensor:
    found: Tensor = result[1]
    return found
