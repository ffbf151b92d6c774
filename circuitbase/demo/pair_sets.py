"""The packaged pairs of prompts: each prompt of a set beside one in which a few tokens were exchanged.

Exchanging tokens of the same prompt keeps its length, its template and its words, and turns the answer round: what
is right for the clean prompt is wrong for the corrupted one.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from circuitbase.demo.sentences import Sentence


@dataclass(frozen=True)
class PairOfPrompts:
    """A clean and a corrupted prompt, what comes after the clean one, and what after the corrupted one."""

    clean: str
    corrupted: str
    correct: str
    wrong: str


def indirect_object_pair(sentence: Sentence) -> PairOfPrompts:
    """Returns the sentence beside the one in which the receiver, not the giver, is named again."""
    start, end = sentence.spans["giver_again"]
    corrupted = sentence.prompt[:start] + sentence.answer + sentence.prompt[end:]
    return PairOfPrompts(sentence.prompt, corrupted, sentence.answer, sentence.distractor)


def induction_pair(sentence: Sentence) -> PairOfPrompts:
    """Returns the sentence beside the one in which its last word first stands two places later.

    Before it stood before the answer, now before the word two behind: the words that are copied stay where they
    are, and what changes is which of them the repeated word was followed by.
    """
    words = sentence.prompt.split()
    first = words.index(words[-1])
    corrupted = list(words)
    corrupted[first], corrupted[first + 2] = corrupted[first + 2], corrupted[first]
    return PairOfPrompts(sentence.prompt, " ".join(corrupted), sentence.answer, words[first + 3])


PAIRED: dict[str, Callable[[Sentence], PairOfPrompts]] = {
    "indirect-object": indirect_object_pair,
    "induction": induction_pair,
}


def pair_sets(sets: dict[str, list[Sentence]]) -> dict[str, list[PairOfPrompts]]:
    """Returns the pairs made of those prompt sets that have any."""
    return {name: [paired(sentence) for sentence in sets[name]] for name, paired in PAIRED.items()}


def write_pair_sets(sets: dict[str, list[PairOfPrompts]], folder: Path) -> None:
    """Writes `<name>.json` for each set, a pair a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, pairs in sets.items():
        lines = ",\n".join(f"  {json.dumps(vars(pair), ensure_ascii=False)}" for pair in pairs)
        (folder / f"{name}.json").write_text(f'{{"pairs": [\n{lines}\n]}}\n', encoding="utf-8")
