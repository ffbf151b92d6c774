"""Models whose heads are set by hand, so that the role of each is known.

The residual stream holds the token and the position, both one-hot, and a memo of a token; logits are read from the
token's part. Scores are so large that a softmax over them picks one key.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel, Embedding
from circuitbase.tracing.components.layers import AttentionLayer, MlpLayer, Scoring

V, T = 14, 30  # tokens, positions
D = V + T + V
SHARP = 40.0
TOKEN, POSITION, MEMO = slice(0, V), slice(V, V + T), slice(V + T, D)
BOS, END = 0, 1


@dataclass(frozen=True)
class HandHead:
    """A head: what it asks, what keys offer, what it reads as its value, where it writes that."""

    asks: Tensor
    offers: Tensor
    reads: Tensor
    writes: Tensor


def asking(**parts: Tensor) -> Tensor:
    """Returns a weight from the stream to queries or keys: `token`, `memo` fill the first V, `position` the rest."""
    weight = torch.zeros(D, V + T)
    for name, matrix in parts.items():
        rows = {"token": TOKEN, "memo": MEMO, "position": POSITION}[name]
        columns = slice(V, V + T) if matrix.shape[1] == T else slice(0, V)
        weight[rows, columns] += matrix
    return weight


def moving(matrix: Tensor, *, to: slice) -> dict[str, Tensor]:
    """Returns the value and output weights of a head that writes `matrix` of the token it looks at."""
    reads, writes = torch.zeros(D, V), torch.zeros(V, D)
    reads[TOKEN] = torch.eye(V)
    writes[:, to] = matrix
    return {"reads": reads, "writes": writes}


def nothing() -> HandHead:
    return HandHead(asking(), asking(), **moving(torch.zeros(V, V), to=TOKEN))


def previous_token() -> HandHead:
    """Looks one back by position and notes the token there in the memo."""
    ahead = torch.roll(torch.eye(T), 1, dims=1)
    return HandHead(asking(position=SHARP * torch.eye(T)), asking(position=ahead), **moving(torch.eye(V), to=MEMO))


def duplicate_token() -> HandHead:
    """Looks at the same token elsewhere; without one, everywhere."""
    return HandHead(
        asking(token=SHARP * torch.eye(V), position=-SHARP * torch.eye(T)),
        asking(token=torch.eye(V), position=torch.eye(T)),
        **moving(torch.zeros(V, V), to=TOKEN),
    )


def induction() -> HandHead:
    """Looks where the memo of the token before is the present token, and copies what stands there."""
    return HandHead(asking(token=SHARP * torch.eye(V)), asking(memo=torch.eye(V)), **moving(torch.eye(V), to=TOKEN))


def successor() -> HandHead:
    """Looks everywhere, and writes of each token the one after it."""
    return HandHead(asking(), asking(), **moving(torch.roll(torch.eye(V), 1, dims=1), to=TOKEN))


def name_noter(*, place: int) -> HandHead:
    """From the end token, looks at a position and notes the token there in the memo."""
    at_end = torch.zeros(V, T)
    at_end[END, place] = SHARP
    return HandHead(asking(token=at_end), asking(position=torch.eye(T)), **moving(torch.eye(V), to=MEMO))


def name_mover(names: Sequence[int]) -> HandHead:
    """From the end token, looks at the names but for the one in the memo, and copies what it finds."""
    at_end = torch.zeros(V, V)
    at_end[END, list(names)] = SHARP
    return HandHead(
        asking(token=at_end, memo=-2 * SHARP * torch.eye(V)),
        asking(token=torch.eye(V)),
        **moving(torch.eye(V), to=TOKEN),
    )


def hand_made(*layers: Sequence[HandHead]) -> ComponentModel:
    """Returns a model without norms and MLPs of these heads."""
    return ComponentModel(
        embedded=_embedded,
        attention=tuple(_attention(layer) for layer in layers),
        mlps=tuple(_no_mlp() for _ in layers),
        final_norm=None,
        W_U=torch.eye(D)[:V],
        b_U=None,
        logit_cap=None,
    )


def _embedded(tokens: Tensor) -> Embedding:
    written, constant = torch.zeros(*tokens.shape, D), torch.zeros(*tokens.shape, D)
    written[..., TOKEN] = torch.eye(V)[tokens]
    constant[..., POSITION] = torch.eye(T)[: tokens.shape[1]]
    return Embedding(written, constant)


def _attention(heads: Sequence[HandHead]) -> AttentionLayer:
    return AttentionLayer(
        norm=None,
        post_norm=None,
        W_Q=torch.stack([head.asks for head in heads]),
        b_Q=None,
        W_K=torch.stack([head.offers for head in heads]),
        b_K=None,
        W_V=torch.stack([head.reads for head in heads]),
        b_V=None,
        W_O=torch.stack([head.writes for head in heads]),
        b_O=None,
        scoring=Scoring(scale=1.0),
    )


def _no_mlp() -> MlpLayer:
    return MlpLayer(
        norm=None,
        post_norm=None,
        activation=torch.relu,
        W_in=torch.zeros(D, 0),
        b_in=None,
        W_gate=None,
        b_gate=None,
        W_out=torch.zeros(0, D),
        b_out=None,
    )
