"""Which traces realise a motif, given by its units, through the same trace nodes."""

from collections.abc import Iterable, Iterator

import numpy as np

from circuitbase.graph.motifs.edge_support import EdgeSupport, UnitGraph, edge_key, edge_support
from circuitbase.graph.motifs.instance_table import InstanceTable
from circuitbase.graph.motifs.motif_type import Shape
from circuitbase.graph.motifs.recurring import RecurringMotif


def occurrences(graphs: Iterable[UnitGraph], motifs: Iterable[RecurringMotif]) -> dict[RecurringMotif, tuple[str, ...]]:
    """Returns the ids of the traces that support each of some motifs, fans too, in the order of the graphs."""
    found: dict[RecurringMotif, list[str]] = {motif: [] for motif in motifs}
    for graph in graphs:
        for motif in realised(graph, found):
            found[motif].append(graph.trace_id)
    return {motif: tuple(traces) for motif, traces in found.items()}


def realised(found: UnitGraph, motifs: Iterable[RecurringMotif]) -> Iterator[RecurringMotif]:
    """Yields those motifs that a trace realises through the same trace nodes."""
    support = edge_support([found])
    key = support.keys(found)
    for motif in motifs:
        wanted = _edge_keys(motif, support)
        if wanted is None:
            continue
        among = np.isin(key, wanted)
        is_there = _fan_is_there if motif.shape.is_fan else _instance_is_there
        if is_there(found, motif, support, key, among):
            yield motif


def _edge_keys(motif: RecurringMotif, support: EdgeSupport) -> np.ndarray | None:
    """Returns the keys of a motif's edges, None if the graph lacks one of them."""
    if not support.number.keys() >= set(motif.units):
        return None
    ends = [(support.number[motif.units[start]], support.number[motif.units[end]]) for start, end in motif.edges]
    source, target = np.array(ends, dtype=np.int64).T
    key = edge_key(source, target, np.array(motif.classes, dtype=np.int64))
    return key if support.of_keys(key).all() else None


def _fan_is_there(
    found: UnitGraph, motif: RecurringMotif, support: EdgeSupport, key: np.ndarray, among: np.ndarray
) -> bool:
    centre = found.graph.target if motif.shape == Shape.FAN_IN else found.graph.source
    n_branches = len(motif.units) - 1
    return any(len(np.unique(key[among & (centre == node)])) == n_branches for node in np.unique(centre[among]))


def _instance_is_there(
    found: UnitGraph, motif: RecurringMotif, support: EdgeSupport, key: np.ndarray, among: np.ndarray
) -> bool:
    table = InstanceTable(support, motif.shape, budget=0)
    wanted = table.row([support.number[unit] for unit in motif.units], list(motif.classes))
    return any(wanted in keys for keys in table.keys(found, among=among))
