import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circuitbase.graph.supernode_edits import SupernodeEdit
from circuitbase.graph.supernodes import Supernode, UnitShares, supernodes

Edge = tuple[str, str, float]


def shares_of(traces: list[list[Edge]]) -> UnitShares:
    """Returns the sums over traces, each a list of (source, target, signed share)."""
    units = tuple(sorted({end for trace in traces for s, t, _ in trace for end in (s, t)}))
    place = {unit: number for number, unit in enumerate(units)}
    edges = [edge for trace in traces for edge in trace]
    held = np.zeros((len(units), len(traces)), dtype=bool)
    for number, trace in enumerate(traces):
        held[[place[end] for s, t, _ in trace for end in (s, t)], number] = True
    return UnitShares(
        units=units,
        source=np.array([place[s] for s, _, _ in edges], dtype=np.int64),
        target=np.array([place[t] for _, t, _ in edges], dtype=np.int64),
        share=np.array([share for _, _, share in edges], dtype=np.float64),
        held=held,
    )


def two_steps(*, copy: dict[str, str], seed: int = 0) -> list[Edge]:
    """Returns one trace of city -> state -> capital with a bystander; `copy` says what stands for which unit."""
    noise = np.random.default_rng(seed).normal(0, 0.02, 8)
    edges = [
        ("city", "F1", 0.7), ("of", "F1", 0.3), ("F1", "F2", 0.6), ("of", "F2", -0.4),
        ("F2", "out", 0.5), ("city", "F3", -0.2), ("F3", "out", -0.3), ("F1", "F3", 0.1),
    ]  # fmt: skip
    return [(copy.get(s, s), copy.get(t, t), w + n) for (s, t, w), n in zip(edges, noise, strict=True)]


def members(found: tuple[Supernode, ...]) -> list[tuple[str, ...]]:
    return [each.members for each in found]


FEATURES = ("F1a", "F1b", "F2a", "F2b", "F3")


def split_traces(n: int = 20) -> list[list[Edge]]:
    """Returns traces in which F1 and F2 have two copies each, of which one speaks."""
    copies = [{"F1": f"F1{c}", "F2": f"F2{d}"} for c in "ab" for d in "ab"]
    return [two_steps(copy=copies[k % 4], seed=k) for k in range(n)]


def test_a_feature_split_into_two_copies_is_put_together_again() -> None:
    found = supernodes(shares_of(split_traces()), FEATURES)
    assert members(found.supernodes) == [("F1a", "F1b"), ("F2a", "F2b")] and found.settled
    assert [pair.evidence for each in found.supernodes for pair in each.pairs] == ["alternatives"] * 2


def test_copies_whose_neighbours_are_split_too_need_a_second_round() -> None:
    # F2's copies hear from different copies of F1 alone, so their profiles over units have little in common
    def trace(c: str) -> list[Edge]:
        return [("city", f"F1{c}", 1.0), (f"F1{c}", f"F2{c}", 0.9), (f"F2{c}", "out", 0.5)]

    found = supernodes(shares_of([trace(c) for c in "abab"]), FEATURES[:4], threshold=0.5)
    assert members(found.supernodes) == [("F1a", "F1b"), ("F2a", "F2b")] and found.rounds > 2


def test_copies_at_different_positions_of_one_trace_are_duplicates() -> None:
    both = [
        [edge for c in "ab" for edge in two_steps(copy={"F1": f"F1{c}"}, seed=2 * k + (c == "a"))] for k in range(6)
    ]
    (found,) = supernodes(shares_of(both), ("F1a", "F1b", "F2", "F3")).supernodes
    assert found.members == ("F1a", "F1b")
    assert [(pair.jaccard, pair.evidence) for pair in found.pairs] == [(1.0, "duplicates")]


@settings(max_examples=20, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_input_does_not_matter(mixed: random.Random) -> None:
    traces, features = split_traces(8), list(FEATURES)
    expected = supernodes(shares_of(traces), features)
    mixed.shuffle(features)
    assert supernodes(shares_of(traces), features) == expected


def test_the_sign_counts() -> None:
    traces: list[list[Edge]] = [[("in", "F1", 0.9), ("F1", "out", 0.9), ("in", "F2", 0.9), ("F2", "out", -0.9)]]
    assert supernodes(shares_of(traces), ("F1", "F2")).supernodes == ()


def test_edits_hold_in_every_later_grouping() -> None:
    shares = shares_of(split_traces())
    split = SupernodeEdit("split", ("F1a",), others=("F1b",))
    assert members(supernodes(shares, FEATURES, edits=[split]).supernodes) == [("F2a", "F2b")]
    merge, name = SupernodeEdit("merge", ("F2a", "F3")), SupernodeEdit("name", ("F2a", "F2b"), name="state")
    found = supernodes(shares, FEATURES, edits=[merge, name]).supernodes
    merged = next(each for each in found if "F3" in each.members)
    assert {"F2a", "F3"} <= set(merged.members) and merged.name == "state"
    assert "edited" in {pair.evidence for pair in merged.pairs}
    pinned = supernodes(shares, FEATURES, edits=[SupernodeEdit("pin", ("F1b",))]).supernodes
    assert Supernode(("F1b",), True, None, ()) in pinned


@pytest.mark.parametrize("candidates", [(), ("F1a",)])
def test_too_few_units_have_no_supernodes(candidates: tuple[str, ...]) -> None:
    found = supernodes(shares_of(split_traces(2)), candidates)
    assert found.supernodes == () and found.settled
