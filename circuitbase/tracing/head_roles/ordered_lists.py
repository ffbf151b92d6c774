"""Lists of words that have an order, found among the tokens of a vocabulary: numbers, days, months, letters."""

from collections.abc import Sequence
from dataclasses import dataclass

from circuitbase.errors import InputError
from circuitbase.tracing.tokenizing import PromptTokenizer

SHORTEST = 5

_ORDERED: dict[str, Sequence[str]] = {
    "numbers": [str(number) for number in range(201)],
    "two digits": [f"{number:02d}" for number in range(100)],
    "years": [str(year) for year in range(1500, 2101)],
    "letters": list("abcdefghijklmnopqrstuvwxyz"),
    "days": "monday tuesday wednesday thursday friday saturday sunday".split(),
    "months": ("january february march april may june july august september october november december").split(),
    "cardinals": "one two three four five six seven eight nine ten eleven twelve".split(),
    "ordinals": "first second third fourth fifth sixth seventh eighth ninth tenth".split(),
}


@dataclass(frozen=True)
class OrderedList:
    """Tokens of which each is the successor of the one before."""

    name: str
    tokens: tuple[int, ...]


def ordered_lists(tokenizer: PromptTokenizer, *, shortest: int = SHORTEST) -> list[OrderedList]:
    """Returns the ordered lists that the vocabulary holds: of each the longest run of words that are one token.

    A list is looked for as it is written, capitalised, in capitals, and each of these behind a space; forms that
    give the same tokens are one. Runs of fewer than `shortest` words, and runs that are a part of another, are left
    out.
    """
    found: dict[tuple[int, ...], OrderedList] = {}
    for name, words in _ORDERED.items():
        for form in (str, str.capitalize, str.upper):
            for before in ("", " "):
                run = _longest_run([_token(tokenizer, before + form(word)) for word in words])
                if len(run) >= shortest:
                    found.setdefault(run, OrderedList(name, run))
    return [each for run, each in found.items() if not any(_is_part(run, other) for other in found)]


def _is_part(run: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    return len(run) < len(whole) and any(
        whole[first : first + len(run)] == run for first in range(len(whole) - len(run) + 1)
    )


def _token(tokenizer: PromptTokenizer, text: str) -> int | None:
    try:
        return tokenizer.one_token(text)
    except InputError:
        return None


def _longest_run(tokens: Sequence[int | None]) -> tuple[int, ...]:
    """Returns the longest run without a gap in which no token is repeated."""
    best: tuple[int, ...] = ()
    run: tuple[int, ...] = ()
    for token in tokens:
        run = () if token is None or token in run else (*run, token)
        best = max(best, run, key=len)
    return best
