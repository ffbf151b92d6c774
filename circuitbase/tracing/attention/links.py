"""Attention links of a feature trace: the scores of chosen heads by pairs of trace nodes.

A query is linear in the residual stream once norms are frozen, and the residual stream linear in what the nodes wrote
(patterns below frozen too: OV paths, skip paths, cross-layer writes). So the rows that make a query or a key are traced
like any target's, d_head of them, and what they read of a node, at whatever position, is what it brings.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from circuitbase.errors import ModelError
from circuitbase.tracing.attention.explained_heads import resolved_heads
from circuitbase.tracing.attention.head_reads import HeadRead, key_read, query_read
from circuitbase.tracing.attention.score_parts import Side, StrongestPairs, strongest_pairs
from circuitbase.tracing.attention.softmax_parts import integrated
from circuitbase.tracing.components.hugging_face import attention_layer
from circuitbase.tracing.components.layers import AttentionLayer
from circuitbase.tracing.effects import FrozenPaths, RowBlock
from circuitbase.tracing.frozen_norm import no_norm
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.preparation import Prepared
from circuitbase.tracing.target_blocks import Point, Targets


@dataclass(frozen=True)
class AttentionLink:
    """A head's attention from one position to another; nodes are numbered as before pruning.

    `score` is the whole score before any soft cap, `bias_effect` the sum of its terms with a bias, `net` and
    `absolute` those of all pairs and of their sizes. `pair_attention` is each pair's part of `weight`, integrated from
    the uniform pattern.
    """

    layer: int
    head: int
    query: int
    key: int
    weight: float
    score: float
    bias_effect: float
    net: float
    absolute: float
    query_node: Int64[np.ndarray, " pair"]
    key_node: Int64[np.ndarray, " pair"]
    pair_score: Float64[np.ndarray, " pair"]
    pair_attention: Float64[np.ndarray, " pair"]


@dataclass(frozen=True)
class _TracedSide:
    node: Int64[np.ndarray, " node"]
    side: Side
    vector: Float64[Tensor, " d_head"]

    def chosen(self, kept: Bool[np.ndarray, " every_node"]) -> Tensor:
        return torch.from_numpy(np.flatnonzero(kept[self.node])).to(self.side.by_node.device)


@torch.no_grad()
def attention_links(
    model: TracedModel,
    prepared: Prepared,
    options: TraceOptions,
    *,
    kept: Bool[np.ndarray, " node"],
    block_numbers: int,
) -> list[AttentionLink]:
    """Returns the links that the options ask for, sorted by layer, query, key and head; pairs are of `kept` nodes."""
    found = []
    for layer, head, query in resolved_heads(options.explain_attention, n_positions=len(prepared.run.final)):
        attention = attention_layer(model, layer)
        x = prepared.run.layers[layer].input.to(attention.W_Q.device)
        visible, scores = _scores(attention, x, head=head, query=query)
        pattern = prepared.run.layers[layer].pattern[head, query].double().cpu().numpy()
        order = np.argsort(-pattern[visible], kind="stable")[: options.explain_keys]
        coefficients = integrated(np.zeros(len(scores)), scores, of=order, soft_cap=attention.scoring.soft_cap)
        asks = _traced(
            prepared.paths, query_read(attention, x, head=head, position=query), x, layer, query, block_numbers
        )
        for row, place in enumerate(order.tolist()):
            key = int(visible[place])
            read = key_read(attention, x, head=head, position=key)
            offers = _traced(prepared.paths, read, x, layer, key, block_numbers)
            pairs = strongest_pairs(
                asks.side,
                offers.side,
                scale=attention.scoring.scale,
                count=options.explain_pairs,
                query_nodes=asks.chosen(kept),
                key_nodes=offers.chosen(kept),
            )
            score = attention.scoring.scale * float(asks.vector @ offers.vector)
            worth = float(coefficients.coefficient[row, place])
            found.append(
                _link((layer, head, query, key), asks, offers, pairs, score, weight=float(pattern[key]), worth=worth)
            )
    return sorted(found, key=lambda link: (link.layer, link.query, link.key, link.head))


def _link(
    place: tuple[int, int, int, int],
    asks: _TracedSide,
    offers: _TracedSide,
    pairs: StrongestPairs,
    score: float,
    *,
    weight: float,
    worth: float,
) -> AttentionLink:
    layer, head, query, key = place
    pair_score = pairs.score.cpu().numpy()
    return AttentionLink(
        layer=layer,
        head=head,
        query=query,
        key=key,
        weight=weight,
        score=score,
        bias_effect=pairs.bias_effect,
        net=pairs.net,
        absolute=pairs.absolute,
        query_node=asks.node[pairs.query_node.cpu().numpy()],
        key_node=offers.node[pairs.key_node.cpu().numpy()],
        pair_score=pair_score,
        pair_attention=worth * pair_score,
    )


def _scores(
    attention: AttentionLayer, x: Float[Tensor, "position d_model"], *, head: int, query: int
) -> tuple[Int64[np.ndarray, " key"], Float64[np.ndarray, " key"]]:
    """Returns the keys that a query sees, and their scores before any soft cap."""
    visible = attention.visible(len(x), device=x.device)[query].cpu().numpy()
    asks = attention.rotated_queries(attention.queries(x[None]))[0, query, head].double()
    offers = attention.rotated_keys(attention.keys(x[None]))[0, :, head].double()
    return np.flatnonzero(visible), (attention.scoring.scale * (offers @ asks)).cpu().numpy()[visible]


def _traced(
    paths: FrozenPaths, read: HeadRead, x: Float[Tensor, "position d_model"], layer: int, position: int, numbers: int
) -> _TracedSide:
    """Returns what each node brings to a query or key, and what all constants do."""
    rows, n_rows = read.rows.to(paths.device), len(read.rows)
    targets = Targets(
        layer=layer,
        point=Point.BLOCK_INPUT,
        norm=no_norm(x.to(paths.device)),
        node=np.arange(n_rows),
        position=np.full(n_rows, position, dtype=np.int32),
        read=rows,
        constant=read.bias.to(paths.device),
    )
    blocks = _rows(paths, targets, numbers=numbers)
    bias = torch.from_numpy(np.concatenate([block.bias_effect for block in blocks])).to(paths.device)
    vector = (read.of(x[position][None])[0] + read.bias).double().to(paths.device)
    return _TracedSide(blocks[0].source, Side(torch.cat([block.weight for block in blocks]).T, bias), vector)


def _rows(paths: FrozenPaths, targets: Targets, *, numbers: int) -> list[RowBlock]:
    """Returns the rows in blocks; a device that runs out of memory gets smaller ones."""
    try:
        return [paths.rows(block) for block in _blocks(targets, numbers=numbers, width=paths.d_model)]
    except torch.cuda.OutOfMemoryError as error:
        row = targets.n_positions * paths.d_model
        if numbers < 2 * row:
            raise ModelError(
                f"the device has too little memory to explain attention over {targets.n_positions} positions of width "
                f"{paths.d_model} ({error}); trace a shorter prompt, or load the dictionary lazily"
            ) from error
        torch.cuda.empty_cache()
        return _rows(paths, targets, numbers=min(numbers, len(targets) * row) // 2)


def _blocks(targets: Targets, *, numbers: int, width: int) -> Iterator[Targets]:
    start = 0
    while start < len(targets):
        block = targets.block_from(start, block_numbers=numbers, width=width)
        yield block
        start += len(block)
