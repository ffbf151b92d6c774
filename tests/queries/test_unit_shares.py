from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from circuitbase.graph.supernodes import supernodes
from circuitbase.queries.trace_columns import TraceColumns
from circuitbase.queries.unit_shares import unit_shares
from tests.queries.columns import columns_of
from tests.synthetic import synthetic_traces

TRACES = [columns_of(trace) for trace in synthetic_traces(12)]


def test_shares_are_signed_and_summed_over_positions_and_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("circuitbase.queries.unit_shares._TOGETHER", 3)
    expected: dict[tuple[str, str], float] = defaultdict(float)
    for columns in TRACES:
        for s, t, w, share in zip(
            columns.edge_source, columns.edge_target, columns.edge_weight, columns.edge_share, strict=True
        ):
            expected[columns.unit[s], columns.unit[t]] += share * np.sign(w)
    found = unit_shares(TRACES)
    ends = zip(found.source, found.target, found.share, strict=True)
    assert {(found.units[s], found.units[t]): pytest.approx(v) for s, t, v in ends} == dict(expected)
    assert found.units == tuple(sorted(found.units))
    for unit, row in zip(found.units, found.held, strict=True):
        assert row.tolist() == [unit in columns.unit for columns in TRACES]


def test_a_dictionary_feature_split_into_two_copies_is_put_together_again() -> None:
    # edges of every trace, and features that recur: what a copy hears and says is what the feature does
    recurring = synthetic_traces(40, n_features=8, edge_probability=1.0)
    mechanism = [_with_fixed_weights(columns_of(trace)) for trace in recurring]
    whole = unit_shares(mechanism)
    held = {unit: int(row.sum()) for unit, row in zip(whole.units, whole.held, strict=True) if "/F" in unit}
    feature = max(sorted(held), key=lambda unit: held[unit])
    copies = [f"{feature}-first", f"{feature}-second"]
    by_trace = [_renamed(columns, feature, [copies[k % 2]]) for k, columns in enumerate(mechanism)]
    by_position = [_renamed(columns, feature, copies) for columns in mechanism]
    for split, evidence in ((by_trace, "alternatives"), (by_position, None)):
        shares = unit_shares(split)
        candidates = [unit for unit in shares.units if "/F" in unit]
        homes = [each for each in supernodes(shares, candidates).supernodes if copies[0] in each.members]
        assert len(homes) == 1 and copies[1] in homes[0].members
        (pair,) = [pair for pair in homes[0].pairs if [pair.first, pair.second] == copies]
        assert pair.likeness > 0.8 and evidence in (None, pair.evidence)


@cache
def _weight(ends: str) -> float:
    return float(np.random.default_rng([*ends.encode()]).normal())


def _with_fixed_weights(columns: TraceColumns) -> TraceColumns:
    """Returns a trace in which the weight of an edge depends on its units alone, as where one mechanism made it."""
    ends = zip(columns.edge_source.tolist(), columns.edge_target.tolist(), strict=True)
    weight = np.array(
        [np.random.default_rng([*(columns.unit[s] + columns.unit[t]).encode()]).normal() for s, t in ends]
    )
    total = np.bincount(columns.edge_target, weights=np.abs(weight), minlength=len(columns.unit))
    return replace(columns, edge_weight=weight, edge_share=np.abs(weight) / total[columns.edge_target])


def _renamed(columns: TraceColumns, feature: str, copies: list[str]) -> TraceColumns:
    """Returns a trace whose occurrences of a feature are copies of it, in turn by position."""
    unit = tuple(
        copies[int(position) % len(copies)] if name == feature else name
        for name, position in zip(columns.unit, columns.position, strict=True)
    )
    return replace(columns, unit=unit)
