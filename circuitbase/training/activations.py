"""What a GPT-2-architecture model's MLPs read and write, collected over batches of tokens."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import GPT2LMHeadModel


@dataclass(frozen=True)
class TokenBatch:
    """Right-padded token ids; `keep` marks the positions whose activations are wanted (no padding, no BOS)."""

    tokens: Int[Tensor, "prompt position"]
    keep: Bool[Tensor, "prompt position"]


@dataclass(frozen=True)
class MlpActivations:
    """Rows are kept positions in reading order: `inputs` at `mlp.hook_in` (after ln_2), `outputs` at `mlp.hook_out`."""

    inputs: Float[Tensor, "layer row d_model"]
    outputs: Float[Tensor, "layer row d_model"]


@torch.no_grad()
def mlp_activations(model: GPT2LMHeadModel, batches: Iterable[TokenBatch]) -> MlpActivations:
    """Returns the inputs and outputs of every layer's MLP at the kept positions of all batches."""
    mlps: list[nn.Module] = [block.mlp for block in model.transformer.h]  # type: ignore[misc]
    inputs: list[list[Tensor]] = [[] for _ in mlps]
    outputs: list[list[Tensor]] = [[] for _ in mlps]
    keep = torch.zeros(0, dtype=torch.bool)

    def record(layer: int, _module: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
        inputs[layer].append(given[0][keep])
        outputs[layer].append(result[keep])

    handles = [mlp.register_forward_hook(partial(record, layer)) for layer, mlp in enumerate(mlps)]
    try:
        for batch in batches:
            keep = batch.keep
            model(input_ids=batch.tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return MlpActivations(
        torch.stack([torch.cat(rows) for rows in inputs]), torch.stack([torch.cat(rows) for rows in outputs])
    )
