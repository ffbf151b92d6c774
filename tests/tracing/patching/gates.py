"""OR and AND of two heads, with weights set by hand: what noising and denoising must say is known.

Prompts are `a b end` with bits a and b (tokens 0 and 1; the end is token 2). At the end, head 0 looks at a and head 1
at b; the MLP answers with 5 times their OR or AND, which is the logit of token 1 over token 0.
"""

import torch

from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.layers import AttentionLayer, MlpLayer, Scoring
from circuitbase.tracing.components.pairs import Pair

BIT, FIRST, SECOND, END, A, B, OUT = range(7)
SHARP, LOUD = 5.0, 5.0
BOTH_ON = Pair(clean=(1, 1, 2), corrupted=(0, 0, 2), correct=(1,), wrong=(0,))


def gate(kind: str) -> ComponentModel:
    """Returns the model of a gate, in float64."""
    W_Q, W_K, W_V, W_O = (torch.zeros(2, 7, 1, dtype=torch.float64) for _ in range(4))
    W_Q[:, END] = W_K[0, FIRST] = W_K[1, SECOND] = SHARP
    W_V[:, BIT] = W_O[0, A] = W_O[1, B] = 1.0
    attention = AttentionLayer(
        norm=None,
        post_norm=None,
        W_Q=W_Q,
        b_Q=None,
        W_K=W_K,
        b_K=None,
        W_V=W_V,
        b_V=None,
        W_O=W_O.transpose(1, 2),
        b_O=None,
        scoring=Scoring(scale=1.0),
    )
    return ComponentModel(
        embedded=_embedded,
        attention=(attention,),
        mlps=(_sum_within(*{"or": (0.0, 1.0), "and": (1.0, 2.0)}[kind]),),
        final_norm=None,
        W_U=torch.eye(7, dtype=torch.float64)[[BIT, OUT, BIT]] * torch.tensor([[0.0], [LOUD], [0.0]]),
        b_U=None,
        logit_cap=None,
    )


def _sum_within(low: float, high: float) -> MlpLayer:
    """Returns an MLP that writes how far a + b is between two bounds."""
    W_in, W_out = torch.zeros(7, 2, dtype=torch.float64), torch.zeros(2, 7, dtype=torch.float64)
    W_in[A] = W_in[B] = 1.0
    W_out[:, OUT] = torch.tensor([1.0, -1.0])
    return MlpLayer(
        norm=None,
        post_norm=None,
        activation=torch.relu,
        W_in=W_in,
        b_in=torch.tensor([-low, -high], dtype=torch.float64),
        W_gate=None,
        b_gate=None,
        W_out=W_out,
        b_out=None,
    )


def _embedded(tokens: torch.Tensor) -> Embedding:
    written = torch.zeros(*tokens.shape, 7, dtype=torch.float64)
    written[..., BIT] = (tokens == 1).double()
    constant = torch.zeros_like(written)
    constant[:, range(3), [FIRST, SECOND, END]] = 1.0
    return Embedding(tokens=written, constant=constant)
