"""Whether pairs are corrupted by symmetric token replacement: same length, same template, nothing out of place."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from circuitbase.errors import InputError
from circuitbase.tracing.components.pairs import Pair

LARGEST_SHARE = 1 / 3  # of the tokens of a pair that may differ under one template


@dataclass(frozen=True)
class PairCheck:
    """What was found of one pair: where its prompts differ, and which corrupted tokens are strange at their place.

    A token is strange where no clean prompt of that length has it at that position, unless it only changed places
    with another replaced token of its own prompt: the corrupted prompt is then not one that the set of clean prompts
    could hold.
    """

    pair: int
    length: int
    corrupted_length: int
    differing: tuple[int, ...]
    strange: tuple[int, ...]
    largest_share: float

    @property
    def same_length(self) -> bool:
        """Returns whether both prompts have as many tokens."""
        return self.length == self.corrupted_length

    @property
    def same_template(self) -> bool:
        """Returns whether few positions differ."""
        return self.same_length and len(self.differing) <= max(1, int(self.largest_share * self.length))

    @property
    def in_distribution(self) -> bool:
        """Returns whether every token put in occurs there in some clean prompt or was swapped with another."""
        return self.same_length and not self.strange

    @property
    def symmetric(self) -> bool:
        """Returns whether the pair is a symmetric token replacement: all three."""
        return self.same_length and self.same_template and self.in_distribution


def check_replacements(pairs: Sequence[Pair], *, largest_share: float = LARGEST_SHARE) -> list[PairCheck]:
    """Returns what was found of each pair; raises InputError for a share that is none."""
    if not 0 < largest_share <= 1:
        raise InputError(f"the largest share of differing tokens must be above 0 and at most 1, got {largest_share}")
    seen: defaultdict[tuple[int, int], set[int]] = defaultdict(set)  # (length, position) -> tokens of clean prompts
    for pair in pairs:
        for position, token in enumerate(pair.clean):
            seen[len(pair.clean), position].add(token)
    found = []
    for number, pair in enumerate(pairs):
        both = list(enumerate(zip(pair.clean, pair.corrupted, strict=False)))
        differing = tuple(position for position, (clean, corrupted) in both if clean != corrupted)
        taken_out = {pair.clean[position] for position in differing}
        strange = tuple(
            position
            for position in differing
            if pair.corrupted[position] not in seen[len(pair.clean), position] | taken_out
        )
        found.append(PairCheck(number, len(pair.clean), len(pair.corrupted), differing, strange, largest_share))
    return found
