"""Pairs of prompts that differ in one thing: what contrastive attribution compares."""

from collections.abc import Sequence
from dataclasses import dataclass

from circuitbase.errors import InputError

LONGEST_LIST = 5  # problems named one by one


@dataclass(frozen=True)
class Pair:
    """Token ids of a clean and a corrupted prompt of one length, and the tokens whose outputs are compared.

    `correct` are right after the clean prompt, `wrong` are not; both may be empty for a metric without them.
    """

    clean: tuple[int, ...]
    corrupted: tuple[int, ...]
    correct: tuple[int, ...] = ()
    wrong: tuple[int, ...] = ()

    def problems(self, *, n_tokens: int, n_outputs: int | None = None, n_positions: int | None = None) -> list[str]:
        """Returns what keeps the pair from being compared by a model of so many tokens, outputs and positions.

        Without `n_outputs` the outputs are the tokens.
        """
        found = [f"its {side} prompt is empty" for side in ("clean", "corrupted") if not getattr(self, side)]
        if found:
            return found
        if len(self.clean) != len(self.corrupted):
            found.append(
                f"its prompts must have the same length, but have {len(self.clean)} and {len(self.corrupted)} tokens"
            )
        elif len(self.clean) == 1:
            found.append("its prompts have one position, so nothing can attend to anything else")
        longest = max(len(self.clean), len(self.corrupted))
        if n_positions is not None and longest > n_positions:
            found.append(f"it has {longest} tokens, but the model reads at most {n_positions}")
        n_answers = n_tokens if n_outputs is None else n_outputs
        for side, count in (
            ("clean", n_tokens),
            ("corrupted", n_tokens),
            ("correct", n_answers),
            ("wrong", n_answers),
        ):
            outside = [token for token in getattr(self, side) if not 0 <= token < count]
            if outside:
                found.append(f"token {outside[0]} of its {side} is not among the model's 0 to {count - 1}")
        both = sorted(set(self.correct) & set(self.wrong))
        if both:
            found.append(f"token {both[0]} is both correct and wrong")
        if bool(self.correct) != bool(self.wrong):
            found.append(f"it has no {'wrong' if self.correct else 'correct'} token")
        return found


def check_pairs(
    pairs: Sequence[Pair], *, n_tokens: int, n_outputs: int | None = None, n_positions: int | None = None
) -> None:
    """Raises InputError, with every problem by its pair (counted from 0), unless all pairs can be compared."""
    if not pairs:
        raise InputError("there must be at least one pair, and there is none; give some")
    raise_problems(
        [
            (number, problem)
            for number, pair in enumerate(pairs)
            for problem in pair.problems(n_tokens=n_tokens, n_outputs=n_outputs, n_positions=n_positions)
        ]
    )


def check_answers(pairs: Sequence[Pair], *, metric: str) -> None:
    """Raises InputError if a pair lacks the tokens that a metric compares."""
    raise_problems(
        [
            (number, f"it has no correct and wrong tokens, which {metric} compares")
            for number, pair in enumerate(pairs)
            if not pair.correct
        ]
    )


def raise_problems(problems: Sequence[tuple[int, str]]) -> None:
    """Raises InputError with a sentence that names each problem's pair, if there are any."""
    if not problems:
        return
    named = "; ".join(f"pair {number}: {problem}" for number, problem in problems[:LONGEST_LIST])
    further = f"; and {len(problems) - LONGEST_LIST} more problems" if len(problems) > LONGEST_LIST else ""
    raise InputError(f"{named}{further} (pairs count from 0); correct the pairs")
