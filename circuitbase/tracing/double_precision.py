"""Norms in double precision: transformers computes RMSNorms in single precision, whatever the model's dtype."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from circuitbase.tracing.parts import Norm, Parts


def keep_norms_in_double_precision(parts: Parts) -> None:
    """Makes the RMSNorms of a float64 model return what their definition says, to double precision.

    Without it what blocks write differs from the definitions in `parts` by 1e-7. Attention patterns
    stay as they are computed, in part in single precision: they are constants of a prompt.
    """
    for norm in _norms(parts):
        if not norm.centred:
            norm.module.register_forward_hook(partial(_exact, norm))


def _norms(parts: Parts) -> list[Norm]:
    of_blocks = (
        norm
        for block in parts.blocks
        for norm in (block.attention_norm, block.attention_post_norm, block.mlp_norm, block.mlp_post_norm)
    )
    return [norm for norm in (*of_blocks, parts.final_norm) if norm is not None]


def _exact(norm: Norm, _module: nn.Module, given: Any, _result: Any) -> Tensor:
    x: Tensor = given[0]
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.epsilon) * norm.weight
