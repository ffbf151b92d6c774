"""Mechanisms to plant in synthetic traces: who acts on whom, how strongly, and in which traces.

A mechanism takes at most one of its forms in a trace. Strengths are shares of the target's whole input, so that
influence, a sum of products of shares, is known beforehand.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OUTPUT = "out"
OTHER_NODE = "'"  # after a unit's name: its node at the second position of the form


@dataclass(frozen=True)
class Link:
    """An edge between two nodes of a mechanism with its mean share in traces of label A and of label B."""

    source: str
    target: str
    share: tuple[float, float]


@dataclass(frozen=True)
class Form:
    """Links that are there together, with the probability that a trace of label A, or of label B, has them."""

    probability: tuple[float, float]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Mechanism:
    """Feature units with their layers, and the forms that exclude each other; none where probability is left over."""

    name: str
    layers: Mapping[str, int]
    forms: tuple[Form, ...]


def unit_of(node: str) -> str:
    """Returns the unit of a node of a form."""
    return node.removesuffix(OTHER_NODE)


def subcircuit(*, presence: float = 0.6) -> Mechanism:
    """Returns a → b → c → output with a → c beside it, all in the same traces through the same nodes."""
    links = (_link("a", "b", 0.5), _link("b", "c", 0.4), _link("a", "c", 0.15), _link("c", OUTPUT, 0.1))
    return Mechanism("subcircuit", {"a": 0, "b": 1, "c": 2}, (Form((presence, presence), links),))


def two_routes(*, share: float = 0.2) -> Mechanism:
    """Returns two ways to one output, each trace takes one: two clusters of traces in one set."""
    forms = tuple(
        Form(
            (0.5, 0.5),
            (_link(f"a{way}", f"b{way}", 0.6), _link(f"b{way}", f"c{way}", 0.6), _link(f"c{way}", OUTPUT, share)),
        )
        for way in (1, 2)
    )
    return Mechanism("two routes", {f"{name}{way}": layer for way in (1, 2) for layer, name in enumerate("abc")}, forms)


def half_and_half() -> Mechanism:
    """Returns a → b in one half of the traces and b → c in the other: a → b → c is in none."""
    always = _link("b", OUTPUT, 0.04)
    first = Form((0.5, 0.5), (_link("a", "b", 0.5), always))
    second = Form((0.5, 0.5), (_link("b", "c", 0.5), _link("c", OUTPUT, 0.04), always))
    return Mechanism("half and half", {"a": 0, "b": 1, "c": 2}, (first, second))


def through_other_nodes(*, presence: float = 0.8) -> Mechanism:
    """Returns a → b and b → c in the same traces, but through nodes of b at different positions: no path either."""
    links = (_link("a", "b", 0.5), _link("b", OUTPUT, 0.03), _link("b'", "c'", 0.5), _link("c'", OUTPUT, 0.03))
    return Mechanism("through other nodes", {"a": 0, "b": 1, "c": 2}, (Form((presence, presence), links),))


def split_feature(*, presence: float = 0.8) -> Mechanism:
    """Returns a → f → output where one of two copies of f fires, each in half of the firings."""
    forms = tuple(
        Form((presence / 2, presence / 2), (_link("a", copy, 0.5), _link(copy, OUTPUT, 0.05))) for copy in ("f1", "f2")
    )
    return Mechanism("split feature", {"a": 0, "f1": 1, "f2": 1}, forms)


def contrast_in_presence(name: str, *, presence: tuple[float, float] = (0.9, 0.2)) -> Mechanism:
    """Returns x → y that is in more traces of label A; both units have their nodes in every trace."""
    always = (_link("x", OUTPUT, 0.005), _link("y", OUTPUT, 0.01))
    lacking = (1 - presence[0], 1 - presence[1])
    forms = (Form(presence, (_link("x", "y", 0.4), *always)), Form(lacking, always))
    return Mechanism(name, {"x": 0, "y": 2}, forms)


def contrast_in_strength(name: str, *, share: tuple[float, float] = (0.45, 0.3)) -> Mechanism:
    """Returns x → y that is in every trace, and stronger in those of label A."""
    links = (Link("x", "y", share), _link("x", OUTPUT, 0.005), _link("y", OUTPUT, 0.01))
    return Mechanism(name, {"x": 0, "y": 2}, (Form((1.0, 1.0), links),))


def every_mechanism() -> tuple[Mechanism, ...]:
    """Returns one of each kind, and of the contrasts three in presence and three in strength."""
    return (
        subcircuit(),
        two_routes(),
        half_and_half(),
        through_other_nodes(),
        split_feature(),
        *(contrast_in_presence(f"presence {number}") for number in range(3)),
        *(contrast_in_strength(f"strength {number}") for number in range(3)),
    )


def _link(source: str, target: str, share: float) -> Link:
    return Link(source, target, (share, share))
