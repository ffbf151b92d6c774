"""An attention score as a sum over pairs: (query-side node, key-side node), each side's bias standing beside its nodes.

A query is `Σ_i q_i + q_bias` and a key `Σ_j k_j + k_bias`, so a score is `scale · Σ_ij q_i · k_j` and three terms with
a bias (Kamath et al. 2025; methods.md section 11). Scores are those before any soft cap.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

PAIRS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Side:
    """A query or a key by what brings it: a vector per node, and what no node brings."""

    by_node: Float[Tensor, "node d_head"]
    bias: Float[Tensor, " d_head"]


@dataclass(frozen=True)
class ScoreParts:
    """The parts of a score; all of them together are the score."""

    pairs: Float64[Tensor, "query_node key_node"]
    query_with_bias: Float64[Tensor, " query_node"]
    bias_with_key: Float64[Tensor, " key_node"]
    bias_with_bias: float

    @property
    def bias_effect(self) -> float:
        """Returns the sum of all terms with a bias."""
        return float(self.query_with_bias.sum() + self.bias_with_key.sum()) + self.bias_with_bias

    @property
    def score(self) -> float:
        """Returns the score, before any soft cap."""
        return float(self.pairs.sum()) + self.bias_effect


@dataclass(frozen=True)
class StrongestPairs:
    """The largest pairs of a score, sorted by query node and key node, and the sums over all pairs.

    `query_node` and `key_node` count the nodes as they stand in the two sides.
    """

    query_node: Int64[Tensor, " pair"]
    key_node: Int64[Tensor, " pair"]
    score: Float64[Tensor, " pair"]
    bias_effect: float
    net: float
    absolute: float


def score_parts(query: Side, key: Side, *, scale: float) -> ScoreParts:
    """Returns every part of a score, in float64."""
    asks, offers = query.by_node.double(), key.by_node.double()
    ask_bias, offer_bias = query.bias.double(), key.bias.double()
    return ScoreParts(
        pairs=scale * (asks @ offers.T),
        query_with_bias=scale * (asks @ offer_bias),
        bias_with_key=scale * (offers @ ask_bias),
        bias_with_bias=scale * float(ask_bias @ offer_bias),
    )


def strongest_pairs(
    query: Side,
    key: Side,
    *,
    scale: float,
    count: int,
    query_nodes: Int64[Tensor, " chosen_query"],
    key_nodes: Int64[Tensor, " chosen_key"],
) -> StrongestPairs:
    """Returns the `count` largest pairs by size among chosen nodes; all pairs at once are never held."""
    asks, offers = query.by_node, key.by_node
    chosen_asks, chosen_offers = asks[query_nodes], offers[key_nodes]
    best = _largest(chosen_asks, chosen_offers, count=count)
    row, column = query_nodes[best // max(1, len(key_nodes))], key_nodes[best % max(1, len(key_nodes))]
    asks_sum, offers_sum = asks.sum(0, dtype=torch.float64), offers.sum(0, dtype=torch.float64)
    ask_bias, offer_bias = query.bias.double(), key.bias.double()
    bias = asks_sum @ offer_bias + ask_bias @ offers_sum + ask_bias @ offer_bias
    return StrongestPairs(
        query_node=row,
        key_node=column,
        score=scale * (asks[row].double() * offers[column].double()).sum(1),
        bias_effect=scale * float(bias),
        net=scale * float(asks_sum @ offers_sum),
        absolute=abs(scale) * sum(float((part @ offers.T).abs().sum()) for part in _parts(asks, len(offers))),
    )


def _largest(
    asks: Float[Tensor, "query_node d_head"], offers: Float[Tensor, "key_node d_head"], *, count: int
) -> Int64[Tensor, " pair"]:
    """Returns the places of the largest products, in the flattened order of pairs, ascending."""
    size, place = asks.new_zeros(0), torch.zeros(0, dtype=torch.int64, device=asks.device)
    start = 0
    for part in _parts(asks, len(offers)):
        here = (part @ offers.T).abs().flatten()
        found = torch.topk(here, min(count, len(here)))
        size, place = torch.cat([size, found.values]), torch.cat([place, found.indices + start])
        kept = torch.topk(size, min(count, len(size))).indices
        size, place, start = size[kept], place[kept], start + len(here)
    return place.sort().values


def _parts(asks: Float[Tensor, "query_node d_head"], width: int) -> tuple[Tensor, ...]:
    return asks.split(max(1, PAIRS_AT_ONCE // max(1, width)))
