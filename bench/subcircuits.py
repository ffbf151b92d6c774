"""Shared subcircuits of 1,000 traces of 2,000 edges, with a planted one in a third of them.

    python -m bench.subcircuits [TRACES] [EDGES] [MIN_SUPPORT] [BUDGET]

Units follow a heavy tail; a seventh of them stand at several positions of a trace, so that placements have a choice.
"""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from circuitbase.graph.subcircuits import shared_subcircuits
from circuitbase.graph.unit_edges import TraceEdges, unit_edges

LAYERS, FEATURES, POSITIONS, TOP = 6, 400, 12, 100
PLANTED = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (0, 4), (2, 6), (1, 7)]
T = TypeVar("T")


def trace(number: int, n_edges: int) -> TraceEdges:
    """Returns a trace whose strongest edges are mostly those of every trace with the same units."""
    draw = np.random.default_rng([1, number])
    often = 1.2 / np.arange(1, FEATURES + 1) ** 0.8
    active = [
        (layer, feature)
        for layer in range(LAYERS)
        for feature in np.flatnonzero(draw.random(FEATURES) < often).tolist()
    ]
    nodes = [(layer, feature, p) for layer, feature in active for p in _positions(draw, layer, feature)]
    nodes.append((LAYERS, 0, POSITIONS - 1))
    layer, feature, position = (np.array(column) for column in zip(*nodes, strict=True))
    source, target = np.nonzero((layer[:, None] < layer[None]) & (position[:, None] <= position[None]))
    unit = layer * FEATURES + feature
    base = np.sin(unit[source] * 12.9898 + unit[target] * 78.233) * 43758.5453 % 1
    strength = base + 0.3 * draw.normal(size=len(source)) + 0.3 * (position[source] == position[target])
    kept = np.argsort(-strength)[:n_edges]
    ends = [*zip(source[kept].tolist(), target[kept].tolist(), strict=True)]
    names = [f"L{a}/F{b:04d}" for a, b, _ in nodes]
    if number % 3 == 0:
        ends += [(len(names) + a, len(names) + b) for a, b in PLANTED]
        names += [f"planted/{place}" for place in range(8)]
        position = np.concatenate([position, np.arange(8)])
    columns = np.array(ends, dtype=np.int64)
    return TraceEdges(
        trace_id=f"{number:06d}",
        unit=tuple(names),
        position=position.astype(np.int64),
        source=columns[:, 0],
        target=columns[:, 1],
        port=np.zeros(len(ends), dtype=np.uint8),
        influence=np.full(len(ends), 1 / len(ends)),
    )


def _positions(draw: np.random.Generator, layer: int, feature: int) -> list[int]:
    if draw.random() < 0.75:
        return [(feature * 7 + layer) % POSITIONS]
    return sorted(draw.choice(POSITIONS, size=draw.integers(1, 4), replace=False).tolist())


def timed(what: str, work: Callable[[], T]) -> T:
    """Runs the work and prints how long it took."""
    begun, processor = time.perf_counter(), time.process_time()
    found = work()
    took, busy = time.perf_counter() - begun, time.process_time() - processor
    print(f"{what}: {took:.1f} s, {busy:.1f} s of processor time")
    return found


def main(n_traces: int = 1000, n_edges: int = 2000, min_support: int = 200, budget: int = 5000) -> None:
    """Measures and says whether the planted subcircuit is among the best."""
    traces = [trace(number, n_edges) for number in range(n_traces)]
    index = timed("indexing", lambda: unit_edges(traces, min_support=min_support))
    print(
        f"{n_traces} traces, {sum(len(each.source) for each in traces):,} edges, "
        f"{index.n_edges} unit edges in {min_support} traces"
    )
    found = timed(
        f"searching, {budget} sets at most",
        lambda: shared_subcircuits(index, min_support=min_support, top=TOP, budget=budget),
    )
    places = [
        place
        for place, each in enumerate(found.found, start=1)
        if sum(edge.source.startswith("planted") for edge in each.edges) == len(PLANTED)
    ]
    print(
        f"{found.expansions} sets tried, complete: {found.complete}, planted subcircuit at place {places[:1]} of {TOP}"
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
