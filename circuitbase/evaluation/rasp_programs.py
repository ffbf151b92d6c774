"""The programs that are compiled, in RASP (Weiss et al. 2021, 2106.06981), as tracr takes it.

tracr is imported inside the functions: only `make_programs` needs it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Program:
    """A RASP program and the inputs it is compiled for."""

    build: Callable[[], Any]
    """Returns tracr's expression."""
    vocabulary: tuple[str, ...]
    length: int
    """Tokens of an input, BOS not counted."""
    causal: bool
    says: str
    """What it computes, for people."""


def frac_prevs() -> Any:
    """Returns the share of x among the tokens so far."""
    from tracr.compiler import lib
    from tracr.rasp import rasp

    return lib.make_frac_prevs(rasp.tokens == "x")


def reverse() -> Any:
    """Returns the tokens in reverse order; where to look is computed from the length."""
    from tracr.compiler import lib
    from tracr.rasp import rasp

    opposite = rasp.SequenceMap(lambda n, i: n - i - 1 if n > i else None, lib.make_length(), rasp.indices)
    there = rasp.Select(rasp.indices, opposite.named("opposite"), rasp.Comparison.EQ)
    return rasp.Aggregate(there, rasp.tokens).named("reverse")


def induction() -> Any:
    """Returns what followed the current token when it came before."""
    from tracr.rasp import rasp

    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - 1)
    previous = rasp.Aggregate(before, rasp.tokens).named("previous")
    return rasp.Aggregate(rasp.Select(previous, rasp.tokens, rasp.Comparison.EQ), rasp.tokens).named("next")


STATE_OF = {"city1": "state1", "city2": "state2", "city3": "state3", "city4": "state1", "city5": "state2",
            "city6": "state3"}  # fmt: skip
CAPITAL_OF = {"state1": "capital1", "state2": "capital2", "state3": "capital3"}


def two_hop() -> Any:
    """Returns the capital of the city's state, asked at `is`; the Aggregate between the Maps keeps them two MLPs."""
    from tracr.rasp import rasp

    state = rasp.Map(lambda token: STATE_OF.get(token), rasp.tokens).named("state")
    asked = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key in STATE_OF and query == "is")
    moved = rasp.Aggregate(asked, state).named("moved")
    return rasp.Map(lambda found: CAPITAL_OF.get(found), moved).named("capital")


NAMES = ("ann", "bob", "cid", "dan")


def indirect_object() -> Any:
    """Returns, at `to`, the name that comes once.

    a0 and m0 count each name, m1 marks the one that came before, a2 reads it at `to`, a3 reads the other.
    """
    from tracr.rasp import rasp

    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    count = rasp.SelectorWidth(same).named("count")
    again = rasp.categorical(rasp.Map(lambda found: found == 2, count)).named("again")
    marked = rasp.Select(again, rasp.tokens, lambda key, query: bool(key) and query == "to")
    subject = rasp.Aggregate(marked, rasp.tokens).named("subject")
    other = rasp.Select(rasp.tokens, subject, lambda key, query: key in NAMES and query in NAMES and key != query)
    return rasp.Aggregate(other, rasp.tokens).named("answer")


PROGRAMS = {
    "frac-prevs": Program(frac_prevs, ("x", "y"), 4, True, "the share of x among the tokens so far"),
    "reverse": Program(reverse, ("a", "b", "c"), 4, False, "the tokens in reverse order"),
    "compiled-induction": Program(induction, tuple("abcd"), 6, True, "what followed the current token before"),
    "two-hop": Program(two_hop, (*STATE_OF, "is"), 2, True, "the capital of the state of the city"),
    "indirect-object": Program(indirect_object, (*NAMES, "to"), 4, True, "the name that comes once"),
}
