"""Edge lists for the tests of influence, pruning and scores, and what a dense matrix says of them."""

from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np

from circuitbase.schema.kinds import NodeKind


@dataclass(frozen=True)
class EdgeList:
    """A graph as its functions take it: `w` is 0 off the outputs."""

    kind: np.ndarray
    source: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    w: np.ndarray

    @property
    def n_nodes(self) -> int:
        return len(self.kind)

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        """The five arguments of `pruned` and `graph_scores`."""
        return self.kind, self.source, self.target, self.weight, self.w

    def magnitude(self) -> np.ndarray:
        """Σ|A| between each pair of nodes, [target, source], as peers hold it."""
        dense = np.zeros((self.n_nodes, self.n_nodes))
        np.add.at(dense, (self.target, self.source), np.abs(self.weight))
        return dense


def dense_shares(magnitude: np.ndarray) -> np.ndarray:
    """Â, [target, source]."""
    total = magnitude.sum(1, keepdims=True)
    return np.divide(magnitude, total, out=np.zeros_like(magnitude), where=total > 0)


def dense_influence(magnitude: np.ndarray, w: np.ndarray) -> np.ndarray:
    """I = w((1 − Â)⁻¹ − 1), with 1 the identity."""
    identity = np.eye(len(w))
    return w @ (np.linalg.inv(identity - dense_shares(magnitude)) - identity)


# The graph of methods.md section 2: 12 nodes, weight 10 on 11←{1,3,6,8}, 3←{0,1,6}, 1←{9,10}, 0←9.
HAND = EdgeList(
    kind=np.array([1, 1, 2, 1, 2, 2, 2, 2, 2, 0, 0, 3], dtype=np.uint8),
    source=np.array([1, 3, 6, 8, 0, 1, 6, 9, 10, 9]),
    target=np.array([11, 11, 11, 11, 3, 3, 3, 1, 1, 0]),
    weight=np.full(10, 10.0),
    w=np.eye(12)[11],
)
HAND_INFLUENCE = np.array([1 / 12, 1 / 3, 0, 1 / 4, 0, 0, 1 / 3, 0, 1 / 4, 1 / 4, 1 / 6, 0])

_INNER = (NodeKind.FEATURE, NodeKind.LAYER_ERROR)


@st.composite
def edge_lists(draw: st.DrawFn, *, errors: bool = True, max_layers: int = 4) -> EdgeList:
    """Layered graphs: tokens below, features and errors in layers, one to three outputs on top.

    Weights are drawn from few values, so that ties are common, or from a continuum.
    """
    n_layers = draw(st.integers(1, max_layers))
    width = draw(st.integers(1, 5))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_outputs = draw(st.integers(1, 3))
    inner = random.choice(_INNER if errors else _INNER[:1], size=n_layers * width)
    kind = np.concatenate([np.zeros(width), inner, np.full(n_outputs, NodeKind.OUTPUT_TOKEN)]).astype(np.uint8)
    layer = np.concatenate([np.repeat(np.arange(n_layers + 1), width), np.full(n_outputs, n_layers + 1)])
    takes_input = (kind == NodeKind.FEATURE) | (kind == NodeKind.OUTPUT_TOKEN)
    possible = takes_input[:, None] & (layer[None, :] < layer[:, None])
    density = draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))
    target, source = np.nonzero(possible & (random.random(possible.shape) < density))
    tied = draw(st.booleans())
    size = len(source)
    weight = random.choice([-2.0, -1.0, 1.0, 2.0], size=size) if tied else random.normal(size=size)
    w = np.where(kind == NodeKind.OUTPUT_TOKEN, random.uniform(0.05, 0.5, len(kind)), 0)
    return EdgeList(kind=kind, source=source, target=target, weight=weight, w=w)
