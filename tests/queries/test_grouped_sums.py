from collections import defaultdict
from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import pytest

from circuitbase.queries.grouped_sums import GroupedSums, grouped_sums
from circuitbase.queries.rollup_sums import RollupSums, rollup_sums
from tests.queries.columns import with_active
from tests.queries.expected_sums import observed_edges, observed_units
from tests.synthetic import synthetic_traces

TRACES = synthetic_traces(7)
Columns = Mapping[tuple[str, ...], Mapping[str, float]]


def features() -> list[str]:
    """Returns the feature units of the traces, those of most traces first."""
    held: dict[str, int] = defaultdict(int)
    for trace in TRACES:
        for unit, observed in observed_units(trace).items():
            held[unit] += "/F" in unit and observed["nodes"] > 0
    return sorted((unit for unit in held if "/F" in unit), key=lambda unit: (-held[unit], unit))


# features of several layers, so that some of their edges are within a group
GROUP_OF = {unit: f"group{place % 3}" for place, unit in enumerate(features()[:12])}


def edges(sums: RollupSums) -> Columns:
    columns = {f.name: getattr(sums.edge_sums, f.name).tolist() for f in fields(sums.edge_sums)}
    ends = zip(columns.pop("source"), columns.pop("target"), columns.pop("port"), strict=True)
    return {
        (sums.units[s], sums.units[t], str(port)): {name: column[row] for name, column in columns.items()}
        for row, (s, t, port) in enumerate(ends)
    }


def units(sums: RollupSums) -> Columns:
    columns = {f.name: getattr(sums.unit_sums, f.name).tolist() for f in fields(sums.unit_sums)}
    return {
        (sums.units[place],): {name: column[row] for name, column in columns.items()}
        for row, place in enumerate(columns.pop("unit"))
    }


@pytest.fixture(scope="module")
def found() -> GroupedSums:
    return grouped_sums(with_active(TRACES), GROUP_OF)


@pytest.mark.parametrize("group_of", [{}, {unit: f"alone {unit}" for unit in features()}])
def test_without_groups_of_several_the_sums_are_those_of_the_rollup(group_of: dict[str, str]) -> None:
    plain, found = rollup_sums(with_active(TRACES)), grouped_sums(with_active(TRACES), group_of)
    assert found.inner == {}
    called = {unit: group_of.get(unit, unit) for unit in plain.units}
    assert edges(found.sums) == {(called[s], called[t], p): row for (s, t, p), row in edges(plain).items()}
    assert units(found.sums) == {(called[unit],): row for (unit,), row in units(plain).items()}


def test_a_group_is_present_where_any_member_is(found: GroupedSums) -> None:
    present: dict[tuple[str, str, str], int] = defaultdict(int)
    traced: dict[str, int] = defaultdict(int)
    for trace in TRACES:
        ends = {(GROUP_OF.get(s, s), GROUP_OF.get(t, t), str(port)) for s, t, port in observed_edges(trace)}
        for key in ends:
            present[key] += key[0] != key[1]
        for unit in {GROUP_OF.get(u, u) for u, observed in observed_units(trace).items() if observed["nodes"]}:
            traced[unit] += 1
    assert {key: row["traces"] for key, row in edges(found.sums).items()} == {k: n for k, n in present.items() if n}
    assert {key[0]: row["traced"] for key, row in units(found.sums).items() if row["traced"]} == dict(traced)


def test_an_edge_between_groups_is_the_sum_of_its_members_edges(found: GroupedSums) -> None:
    signed: dict[tuple[str, str, str], float] = defaultdict(float)
    absolute: dict[tuple[str, str, str], float] = defaultdict(float)
    for (s, t, port), row in edges(rollup_sums(with_active(TRACES))).items():
        key = (GROUP_OF.get(s, s), GROUP_OF.get(t, t), port)
        signed[key] += row["weight_sum"]
        absolute[key] += row["absolute_sum"]
    between, inner = edges(found.sums), found.inner
    assert inner.keys() == {"group0", "group1", "group2"}
    for (s, t, port), row in between.items():
        assert row["weight_sum"] == pytest.approx(signed[s, t, port], abs=1e-12)
        assert row["absolute_sum"] == pytest.approx(absolute[s, t, port])
    for group, sums in inner.items():
        assert sums.weight_sum == pytest.approx(signed[group, group, "0"], abs=1e-12)
        assert sums.absolute_sum == pytest.approx(absolute[group, group, "0"]) and sums.absolute_sum > 0


def test_what_comes_into_a_group_and_its_influence_are_its_members(found: GroupedSums) -> None:
    plain = rollup_sums(with_active(TRACES))
    for group, inner in found.inner.items():
        members = {unit for unit, home in GROUP_OF.items() if home == group}
        into = sum(row["weight_sum"] for (_, t, _), row in edges(found.sums).items() if t == group)
        of_members = sum(row["weight_sum"] for (_, t, _), row in edges(plain).items() if t in members)
        assert into + inner.weight_sum == pytest.approx(of_members, abs=1e-12)
        for name in ("influence_sum", "activation_sum"):
            mine, theirs = units(found.sums)[(group,)][name], [units(plain)[(unit,)][name] for unit in members]
            assert mine == pytest.approx(sum(theirs))


def test_traces_that_are_read_in_parts_add_up_in_any_order(monkeypatch: pytest.MonkeyPatch, found: GroupedSums) -> None:
    monkeypatch.setattr("circuitbase.queries.grouped_sums._TOGETHER", 2)
    parts = grouped_sums(with_active(TRACES[::-1]), GROUP_OF)
    for mine, theirs in ((edges(parts.sums), edges(found.sums)), (units(parts.sums), units(found.sums))):
        assert mine.keys() == theirs.keys()
        for key, row in theirs.items():
            assert np.allclose(list(mine[key].values()), list(row.values()), rtol=1e-9, atol=1e-12)
