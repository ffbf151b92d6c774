"""Supernodes: units that play one role over many traces (methods.md section 5).

A unit's profile is its signed mean shares in and out over the current groups; units whose profiles are alike, every
pair of a group at least as much as the threshold, are one group. Since the neighbours of split units are split too,
profiles are taken over the groups that the round before found, until nothing moves. Where two neighbours are split in
step, each copy of one hears a copy of the other alone, and no round begins unless the rest of a profile is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float64, Int64

from circuitbase.graph.complete_link import complete_link
from circuitbase.graph.supernode_edits import Constraints, SupernodeEdit, constraints, names

THRESHOLD = 0.8
ROUNDS = 5
DUPLICATES = 0.5  # Jaccard of traces from which two alike units are duplicates, below it alternatives
Evidence = Literal["duplicates", "alternatives", "edited"]


@dataclass(frozen=True)
class UnitShares:
    """Signed shares between units, summed over traces: of the input of `target[e]`, `share[e]` came from `source[e]`.

    `units` are sorted ids; `held` says which traces hold a node of each.
    """

    units: tuple[str, ...]
    source: Int64[np.ndarray, " edge"]
    target: Int64[np.ndarray, " edge"]
    share: Float64[np.ndarray, " edge"]
    held: Bool[np.ndarray, "unit trace"]


@dataclass(frozen=True)
class Likeness:
    """The evidence that two members of a group are alike: the cosine of their profiles, the Jaccard of their traces.

    Alike in profile, they are duplicates if they occur together, alternatives if one stands for the other;
    `edited` says that a person put together what is less alike than the threshold.
    """

    first: str
    second: str
    likeness: float
    jaccard: float
    evidence: Evidence


@dataclass(frozen=True)
class Supernode:
    """A group of two or more units, or of any that a person pinned; `name` is what a person called it."""

    members: tuple[str, ...]
    pinned: bool
    name: str | None
    pairs: tuple[Likeness, ...]


@dataclass(frozen=True)
class Grouping:
    """The supernodes, in the order of their first members; `settled` is False if the last round still moved a unit."""

    supernodes: tuple[Supernode, ...]
    rounds: int
    settled: bool


def supernodes(
    shares: UnitShares,
    candidates: Sequence[str],
    *,
    threshold: float = THRESHOLD,
    edits: Sequence[SupernodeEdit] = (),
) -> Grouping:
    """Returns the supernodes among `candidates`; all other units stay alone, as what profiles are taken over.

    The order of candidates does not matter. `edits`, oldest first, hold whatever the profiles say.
    """
    chosen = sorted(set(candidates))
    asked = constraints(edits, units=chosen)
    groups: list[tuple[int, ...]] = [(row,) for row in range(len(chosen))]
    settled, rounds, likeness = False, 0, np.zeros((0, 0))
    while not settled and rounds < ROUNDS:
        likeness = _likeness(shares, chosen, groups)
        found = complete_link(likeness, threshold=threshold, **_as_rows(asked, chosen))
        settled, groups, rounds = found == groups, found, rounds + 1
    members = [tuple(chosen[row] for row in group) for group in groups]
    pinned = [bool(set(units) & asked.shut) for units in members]
    listed = [place for place, units in enumerate(members) if len(units) > 1 or pinned[place]]
    called = names(edits, [members[place] for place in listed])
    held = shares.held[_rows(shares, chosen)]
    return Grouping(
        supernodes=tuple(
            Supernode(
                members[place],
                pinned[place],
                called.get(number),
                tuple(
                    _pair(chosen, held, likeness, *pair, threshold=threshold) for pair in combinations(groups[place], 2)
                ),
            )
            for number, place in enumerate(listed)
        ),
        rounds=rounds,
        settled=settled,
    )


def _as_rows(asked: Constraints, chosen: Sequence[str]) -> dict[str, list]:
    row = {unit: place for place, unit in enumerate(chosen)}
    return {
        "together": [[row[unit] for unit in group] for group in asked.together],
        "apart": sorted((row[first], row[second]) for first, second in asked.apart),
        "shut": sorted(row[unit] for unit in asked.shut),
    }


def _rows(shares: UnitShares, chosen: Sequence[str]) -> np.ndarray:
    place = {unit: number for number, unit in enumerate(shares.units)}
    return np.array([place[unit] for unit in chosen], dtype=np.int64)


def _likeness(
    shares: UnitShares, chosen: Sequence[str], groups: Sequence[Sequence[int]]
) -> Float64[np.ndarray, "unit unit"]:
    """Returns the cosine of every two profiles over the groups; 0 for a unit without edges."""
    n, rows = len(shares.units), _rows(shares, chosen)
    group_of = np.arange(n)
    for group in groups:
        group_of[rows[list(group)]] = rows[group[0]]
    between = scipy.sparse.csr_array((shares.share, (shares.source, shares.target)), shape=(n, n))
    member = scipy.sparse.csr_array((np.ones(n), (np.arange(n), group_of)), shape=(n, n))
    profile = scipy.sparse.hstack([(between.T.tocsr() @ member)[rows], (between @ member)[rows]]).tocsr()
    size = np.sqrt(profile.multiply(profile).sum(axis=1))
    cosine = (profile @ profile.T).toarray()
    return np.divide(cosine, size[:, None] * size[None, :], out=np.zeros_like(cosine), where=cosine != 0)


def _pair(
    chosen: Sequence[str], held: np.ndarray, likeness: np.ndarray, first: int, second: int, *, threshold: float
) -> Likeness:
    both, either = (held[first] & held[second]).sum(), (held[first] | held[second]).sum()
    jaccard, cosine = float(both / max(1, either)), float(likeness[first, second])
    evidence: Evidence = "duplicates" if jaccard >= DUPLICATES else "alternatives"
    return Likeness(
        chosen[first], chosen[second], cosine, jaccard, "edited" if round(cosine, 9) < threshold else evidence
    )
