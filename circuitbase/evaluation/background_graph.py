"""What surrounds planted mechanisms: features of heavy-tailed presence, and the same strong edges between them.

Which units act on each other, and with what sign, is a hash of the two, so that edges recur over traces as often as
their units are there together. Hubs and strong pairs are heavy-tailed, and each trace keeps its strongest edges.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt64

from circuitbase.evaluation.planted_draws import correlated
from circuitbase.schema.kinds import OUTPUT_KINDS, NodeKind

D_VOCAB = 20_000
MOST_PRESENT = 0.95
LOST = 1.25  # so many more edges are chosen, since some go with nodes that lead nowhere

_COMMON = 500  # tokens
_STEP = 0x9E3779B97F4A7C15
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class DatabaseSize:
    """How many traces, and about how many edges each; `features` are those of one layer, without planted ones."""

    traces: int = 100
    edges: int = 200
    layers: int = 4
    positions: int = 8
    features: int = 256

    @property
    def features_at_once(self) -> float:
        """Returns how many features of a layer a trace has on average; nodes of larger graphs have more edges."""
        return self.edges**0.7 / (1.5 * self.layers)


@dataclass(frozen=True)
class NodeColumns:
    """Nodes of one trace as the columns of a trace file; `planted` ones are the source of planted edges alone."""

    kind: Int64[np.ndarray, " node"]
    layer: Int64[np.ndarray, " node"]
    position: Int64[np.ndarray, " node"]
    unit: Int64[np.ndarray, " node"]
    planted: Int64[np.ndarray, " node"]


@dataclass(frozen=True)
class EdgeColumns:
    """Edges between them, each with its signed strength beside the others."""

    source: Int64[np.ndarray, " edge"]
    target: Int64[np.ndarray, " edge"]
    strength: Float64[np.ndarray, " edge"]


def feature_presence(size: DatabaseSize) -> Float64[np.ndarray, "layer feature"]:
    """Returns how often each feature fires somewhere in a prompt: as 1 / rank (Zipf), up to `MOST_PRESENT`."""
    rank = 1 / np.arange(1, size.features + 1)
    of_layer = np.minimum(MOST_PRESENT, rank * size.features_at_once / rank.sum())
    return np.tile(of_layer, (size.layers, 1))


def fired_features(
    size: DatabaseSize, presence: Float64[np.ndarray, "layer feature"], random: np.random.Generator
) -> Int64[np.ndarray, "firing column"]:
    """Returns (layer, position, unit) of every firing of a trace, never at position 0."""
    layer, unit = np.nonzero(random.random(presence.shape) < presence)
    times = np.minimum(random.geometric(0.7, len(unit)), size.positions - 1)
    order = random.random((len(unit), size.positions - 1)).argsort(axis=1)
    feature, place = np.nonzero(np.arange(size.positions - 1) < times[:, None])
    return np.column_stack([layer[feature], 1 + order[feature, place], unit[feature]]).astype(np.int64)


def presence_in_cluster(
    presence: Float64[np.ndarray, "layer feature"], correlation: float, random: np.random.Generator
) -> Float64[np.ndarray, "layer feature"]:
    """Returns the presences that the traces of one cluster share."""
    return correlated(presence, correlation, random)


def drawn_tokens(number: int, random: np.random.Generator) -> list[int]:
    """Returns common tokens, and at the last two positions any, so that hardly two prompts are equal."""
    common = np.minimum(random.zipf(1.3, number), _COMMON)
    rare = random.integers(_COMMON + 1, D_VOCAB, 2)
    return [*common[:-2].tolist(), *rare.tolist()]


def node_columns(
    size: DatabaseSize,
    tokens: tuple[int, ...],
    traced: Int64[np.ndarray, "firing column"],
    planted: Int64[np.ndarray, "node column"],
) -> NodeColumns:
    """Returns nodes of tokens, of features (rows of layer, position, unit), of every error and of the one output."""
    features = np.concatenate([np.column_stack([traced, np.zeros(len(traced))]), np.insert(planted, 3, 1, axis=1)])
    features = features[np.lexsort(features.T[2::-1])]
    layer, position = np.divmod(np.arange(size.layers * (size.positions - 1)), size.positions - 1)
    zeros = np.zeros_like(layer)
    blocks = [
        (NodeKind.INPUT_TOKEN, [[-1, at, token, 0] for at, token in enumerate(tokens)]),
        (NodeKind.FEATURE, features),
        (NodeKind.LAYER_ERROR, np.column_stack([layer, position + 1, zeros, zeros])),
        (NodeKind.OTHER_OUTPUT, [[size.layers, size.positions - 1, 0, 0]]),
    ]
    rows = np.concatenate([np.insert(np.asarray(rows), 0, int(kind), axis=1) for kind, rows in blocks]).astype(np.int64)
    return NodeColumns(*rows.T)


def strongest_edges(nodes: NodeColumns, *, edges: int, seed: int, random: np.random.Generator) -> EdgeColumns:
    """Returns somewhat more edges, from lower layers to features and outputs, never to an earlier position."""
    code = unit_codes(nodes)
    sources = np.flatnonzero(~np.isin(nodes.kind, OUTPUT_KINDS) & (nodes.planted == 0))
    targets = np.flatnonzero(np.isin(nodes.kind, (NodeKind.FEATURE, *OUTPUT_KINDS)))
    possible = (nodes.layer[sources] < nodes.layer[targets][:, None]) & (
        nodes.position[sources] <= nodes.position[targets][:, None]
    )
    row, column = np.nonzero(possible)
    target, source = targets[row], sources[column]
    pair = _hashed(code[source] * np.uint64(3) + code[target] * np.uint64(7), seed)
    hub = _tail(_hashed(code, seed + 1))
    strength = _tail(pair) * hub[source] * hub[target] * random.uniform(0.5, 1.5, len(source))
    most = int(LOST * edges)
    kept = np.argpartition(-strength, most)[:most] if most < len(strength) else np.arange(len(strength))
    sign = np.where(_hashed(_scrambled(code[source]) + code[target], seed) < 0.5, -1.0, 1.0)
    return EdgeColumns(source[kept], target[kept], (sign * strength)[kept])


def connected(nodes: NodeColumns, edges: EdgeColumns) -> Bool[np.ndarray, " node"]:
    """Returns which nodes stay when features and errors without out-edge, and features without in-edge, go."""
    kept = np.ones(len(nodes.kind), dtype=bool)
    needs_out = np.isin(nodes.kind, (NodeKind.FEATURE, NodeKind.LAYER_ERROR)) & (nodes.planted == 0)
    needs_in = (nodes.kind == NodeKind.FEATURE) & (nodes.planted == 0)
    while True:
        alive = kept[edges.source] & kept[edges.target]
        has_out = np.bincount(edges.source[alive], minlength=len(kept)) > 0
        has_in = np.bincount(edges.target[alive], minlength=len(kept)) > 0
        now = kept & (has_out | ~needs_out) & (has_in | ~needs_in)
        if (now == kept).all():
            return kept
        kept = now


def unit_codes(nodes: NodeColumns) -> UInt64[np.ndarray, " node"]:
    """Returns a number for each node's unit, equal in every trace."""
    found: np.ndarray = ((nodes.kind * 1_000 + nodes.layer + 1) * 10_000_000 + nodes.unit).astype(np.uint64)
    return found


def _hashed(code: np.ndarray, seed: int) -> np.ndarray:
    """Returns uniform numbers in (0, 1)."""
    return (_scrambled(code + np.uint64(seed * _STEP % 2**64)) >> np.uint64(11)).astype(
        np.float64
    ) * 2.0**-53 + 2.0**-54


def _scrambled(code: np.ndarray) -> np.ndarray:
    """Returns the output function of SplitMix64 (Steele, Lea, Flood 2014)."""
    mixed = code + np.uint64(_STEP)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
    found: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return found


def _tail(uniform: np.ndarray) -> np.ndarray:
    """Returns heavy-tailed magnitudes: Weibull's distribution of shape 2/3."""
    found: np.ndarray = (-np.log(uniform)) ** 1.5
    return found
