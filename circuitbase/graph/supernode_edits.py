"""What people said about supernodes, as constraints that a grouping obeys; a later word prevails."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

EditKind = Literal["pin", "split", "merge", "name"]


@dataclass(frozen=True)
class SupernodeEdit:
    """One edit, by unit ids: `units` are these members alone (pin), together (merge), or called `name` (name).

    A split keeps `units` apart from `others`.
    """

    kind: EditKind
    units: tuple[str, ...]
    others: tuple[str, ...] = ()
    name: str | None = None


@dataclass(frozen=True)
class Constraints:
    """Units that must be together, sorted; pairs that must be apart; units whose group takes no further member."""

    together: tuple[tuple[str, ...], ...] = ()
    apart: frozenset[tuple[str, str]] = frozenset()
    shut: frozenset[str] = frozenset()


def constraints(edits: Sequence[SupernodeEdit], *, units: Collection[str]) -> Constraints:
    """Returns what the edits, oldest first, ask of a grouping of `units`; of two that conflict, the later holds."""
    known, group = set(units), {unit: frozenset([unit]) for unit in units}
    apart: set[frozenset[str]] = set()
    shut: set[str] = set()
    for edit in reversed(edits):
        mine = sorted(known & set(edit.units))
        if edit.kind in ("pin", "merge"):
            for first, second in combinations(mine, 2):
                if _may_join(group[first], group[second], apart, shut):
                    joined = group[first] | group[second]
                    group.update(dict.fromkeys(joined, joined))
        if edit.kind == "pin":
            shut |= set(mine)
        if edit.kind == "split":
            others = sorted(known & set(edit.others))
            apart |= {frozenset(pair) for pair in _pairs(mine, others) if group[pair[0]] != group[pair[1]]}
    return Constraints(
        together=tuple(sorted({tuple(sorted(members)) for members in group.values() if len(members) > 1})),
        apart=frozenset(_sorted_pair(pair) for pair in apart),
        shut=frozenset(shut),
    )


def names(edits: Sequence[SupernodeEdit], groups: Sequence[Sequence[str]]) -> dict[int, str]:
    """Returns place of a group -> the name it was given.

    A name goes to the group that shares most with the members it was given to, by Jaccard; ties to the first. The
    last name given to a group holds.
    """
    found: dict[int, str] = {}
    for edit in reversed(edits):
        if edit.kind == "name" and edit.name is not None:
            shared = [_jaccard(set(edit.units), set(group)) for group in groups]
            place = shared.index(max(shared)) if shared else 0
            if shared and shared[place] > 0:
                found.setdefault(place, edit.name)
    return found


def _may_join(first: frozenset[str], second: frozenset[str], apart: set[frozenset[str]], shut: set[str]) -> bool:
    if first == second or (first | second) & shut:
        return False
    return not any(frozenset(pair) in apart for pair in _pairs(sorted(first), sorted(second)))


def _pairs(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((a, b) for a in first for b in second if a != b)


def _sorted_pair(pair: frozenset[str]) -> tuple[str, str]:
    first, second = sorted(pair)
    return first, second


def _jaccard(first: set[str], second: set[str]) -> float:
    return len(first & second) / max(1, len(first | second))
