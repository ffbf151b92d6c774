"""Heads that copy: what they look at, they make more likely.

The OV circuit from tokens to logits has the eigenvalues λ of `W_O Uᵀ E W_V`, a matrix of d_head × d_head (E are the
tokens as they are read, U the directions of their logits; `ov_circuit` says both): `E W_V W_O Uᵀ` has the same but for
zeros. The score is `Σ Re λ / Σ |λ|`: 1 where every eigenvector of tokens raises itself, -1 where each lowers itself
(Elhage et al. 2021, "copying heads"), near 0 for weights without order.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.ov_circuit import OVCircuits, ov_circuits, read_tokens
from circuitbase.tracing.head_roles.roles import RoleScores


@torch.no_grad()
def copying(model: ComponentModel, tokens: Int[Tensor, " token"], options: HeadRoleOptions) -> RoleScores:
    """Returns each head's share of positive eigenvalues, on these tokens of the vocabulary."""
    read = read_tokens(model, tokens, through_first_mlp=options.through_first_mlp)
    found = [positive_share(ov_circuits(model, read, layer=layer)) for layer in range(model.n_layers)]
    return RoleScores(
        score=np.stack(found),
        parts={},
        measured_on={
            "data": "weights",
            "tokens": len(tokens),
            "through_first_mlp": options.through_first_mlp,
        },
    )


def positive_share(circuits: OVCircuits) -> Float64[np.ndarray, " head"]:
    """Returns `Σ Re λ / Σ |λ|` of each head; 0 where all eigenvalues are 0."""
    whole = circuits.directions.T @ circuits.read
    small: Float[Tensor, "head d_value d_value"] = circuits.W_O @ whole @ circuits.W_V
    eigenvalues = torch.linalg.eigvals(small.double().cpu())
    size = eigenvalues.abs().sum(-1)
    share: Float64[np.ndarray, " head"] = torch.where(size > 0, eigenvalues.real.sum(-1) / size, 0.0).numpy()
    return share
