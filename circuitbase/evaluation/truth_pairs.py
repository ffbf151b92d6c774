"""Pairs of inputs on which a known model's circuit is asked for: clean, corrupted, and what the answer is on each."""

import random
from dataclasses import dataclass
from itertools import permutations, product

import torch
from jaxtyping import Int
from torch import Tensor

from circuitbase.errors import InputError


@dataclass(frozen=True)
class TruthPairs:
    """Pairs of equal length, read at the last position; token ids of the model's input and output vocabulary."""

    clean: Int[Tensor, "pair position"]
    corrupted: Int[Tensor, "pair position"]
    correct: Int[Tensor, " pair"]
    wrong: Int[Tensor, " pair"]

    def __len__(self) -> int:
        return len(self.clean)

    def reversed(self) -> "TruthPairs":
        """Returns the pairs with clean and corrupted exchanged: what noising asked, denoising is asked now."""
        return TruthPairs(self.corrupted, self.clean, self.correct, self.wrong)


Rows = list[tuple[tuple[int, ...], tuple[int, ...], int, int]]


def of_rows(rows: Rows) -> TruthPairs:
    """Returns pairs of (clean, corrupted, correct, wrong)."""
    clean, corrupted, correct, wrong = zip(*rows, strict=True)
    return TruthPairs(torch.tensor(clean), torch.tensor(corrupted), torch.tensor(correct), torch.tensor(wrong))


def program_pairs(name: str, *, n_pairs: int = 24, seed: int = 0) -> TruthPairs:
    """Returns pairs for a compiled program, drawn by `seed`; every input starts with BOS, token 0."""
    makers = {
        "frac-prevs": _frac_prevs,
        "reverse": _reverse,
        "compiled-induction": _induction,
        "two-hop": _two_hop,
        "indirect-object": _indirect_object,
        "indirect-object-aba": _one_template,
    }
    if name not in makers:
        raise InputError(f"a compiled program must be one of: {', '.join(makers)}; got {name!r}")
    generator = random.Random(seed)
    rows = makers[name]()
    return of_rows(sorted(generator.sample(rows, min(n_pairs, len(rows)))))


def _frac_prevs() -> Rows:
    inputs = list(product((1, 2), repeat=4))  # 1 is x
    # output 0 is the share of x, output 1 always 0
    return [((0, *a), (0, *b), 0, 1) for a in inputs for b in inputs if a.count(1) > b.count(1)]


def _reverse() -> Rows:
    inputs = list(product((1, 2, 3), repeat=4))
    # the last output is the first token
    return [((0, *a), (0, *b), a[0] - 1, b[0] - 1) for a in inputs for b in inputs if a[0] != b[0]]


def _induction() -> Rows:
    inputs = []  # four different tokens, then one of them, then another one, which came once before
    for block in permutations((1, 2, 3, 4)):
        for fifth, last in permutations(range(4), 2):
            answer = (*block, block[fifth])[last + 1]
            inputs.append(((0, *block, block[fifth], block[last]), answer - 1))
    generator = random.Random(0)
    drawn = ((generator.choice(inputs), generator.choice(inputs)) for _ in range(400))
    return [(a, b, answer, other) for (a, answer), (b, other) in drawn if answer != other]


def _two_hop() -> Rows:
    state = (0, 1, 2, 0, 1, 2)
    return [
        ((0, city + 1, 7), (0, other + 1, 7), state[city], state[other])
        for city in range(6)
        for other in range(6)
        if state[city] != state[other]
    ]


def indirect_object_rows(corruption: str) -> Rows:
    """Returns the 24 prompts `A B A to` and `A B B to` over four names, each with one corruption.

    `third`: the repeated name replaced by a third one, so that no name is repeated; `swapped`: by the other one, so
    that the answers change places; `other`: a prompt with both names exchanged for the other two.
    """
    rows: Rows = []
    for first, second in permutations((1, 2, 3, 4), 2):
        third, fourth = (name for name in (1, 2, 3, 4) if name not in (first, second))
        for subject, answer in ((first, second), (second, first)):
            last = {"third": third, "swapped": answer, "other": fourth}[corruption]
            ahead = (third, fourth) if corruption == "other" else (first, second)
            rows.append(((0, first, second, subject, 5), (0, *ahead, last, 5), answer - 1, subject - 1))
    return rows


def _indirect_object() -> Rows:
    return [row for corruption in ("third", "swapped", "other") for row in indirect_object_rows(corruption)]


def _one_template() -> Rows:
    return [row for row in indirect_object_rows("third") if row[0][1] == row[0][3]]


def gate_pairs(kind: str) -> TruthPairs:
    """Returns the one pair (on, on) → (off, off) of a gate; `kind` is `noising` or, exchanged, `denoising`."""
    noising = of_rows([((1, 1, 2), (0, 0, 2), 0, 1)])
    return noising if kind == "noising" else noising.reversed()


def linear_pairs() -> TruthPairs:
    """Returns pairs of repeated tokens for the linear model."""
    values = [(4, 1), (3, 1), (3, 2)]
    return of_rows([((clean, clean), (corrupted, corrupted), 0, 1) for clean, corrupted in values])
