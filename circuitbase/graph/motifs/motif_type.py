"""The types of structural motifs: a shape with the signs and position classes of its edges (methods.md section 4).

Edges carry a sign (+ or -) and a position class (s: both ends at one token position, o: other). With a, b, c, d for
different nodes, none of them an error node:

- `chain`: a -> b -> c without an edge a -> c (induced). Signs and positions of ab, bc.
- `coherent-ffl`, `incoherent-ffl`: the feed-forward loop a -> b -> c with a -> c; coherent iff the sign of ac is the
  product of those of ab and bc. Signs of ab, bc, ac; positions of ab, bc, from which that of ac follows.
- `diamond`: a -> b -> d and a -> c -> d, b before c; other edges between them do not matter (not induced). Signs of
  the two paths (products of their edges'), + first; position of the ends a and d.
- `inhibition`: of a path. A positive chain a -> b -> c and an inhibitor i with a negative edge onto its middle b,
  induced on both ways into c: neither a nor i has an edge to c, so that both act on c through b alone. (Without that
  its count would follow from degrees.) Edges between a and i do not matter. Signs and positions of ab, ib, bc.
- `fan-in`, `fan-out`: a node with at least m in-edges (out-edges) alike in sign and position, all of them one instance.

Every instance counts once.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Literal, get_args

Detail = Literal["full", "signs", "positions", "shape"]
DETAILS: tuple[str, ...] = get_args(Detail)
SIGNS, POSITIONS = "+-", "so"


class Shape(StrEnum):
    """What a motif looks like without its signs and positions; a loop's coherence belongs to its shape."""

    CHAIN = "chain"
    COHERENT_LOOP = "coherent-ffl"
    INCOHERENT_LOOP = "incoherent-ffl"
    DIAMOND = "diamond"
    INHIBITION = "inhibition"
    FAN_IN = "fan-in"
    FAN_OUT = "fan-out"

    @property
    def roles(self) -> tuple[str, ...]:
        """Returns the letters of its nodes in the order of an instance; of a fan the first, then one per branch."""
        return _ROLES[self]

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """Returns the places (source, target) in `roles` of its edges; of a fan those of one branch."""
        return _EDGES[self]

    @property
    def is_fan(self) -> bool:
        """Returns whether it has any number of branches."""
        return self in FANS


FANS = (Shape.FAN_IN, Shape.FAN_OUT)
LOOPS = (Shape.COHERENT_LOOP, Shape.INCOHERENT_LOOP)
_ROLES = {
    Shape.CHAIN: ("a", "b", "c"),
    **dict.fromkeys(LOOPS, ("a", "b", "c")),
    Shape.DIAMOND: ("a", "b", "c", "d"),
    Shape.INHIBITION: ("a", "i", "b", "c"),
    **dict.fromkeys(FANS, ("a", "b")),
}
_EDGES = {
    Shape.CHAIN: ((0, 1), (1, 2)),
    **dict.fromkeys(LOOPS, ((0, 1), (1, 2), (0, 2))),
    Shape.DIAMOND: ((0, 1), (1, 3), (0, 2), (2, 3)),
    Shape.INHIBITION: ((0, 2), (1, 2), (2, 3)),
    Shape.FAN_IN: ((1, 0),),
    Shape.FAN_OUT: ((0, 1),),
}


@dataclass(frozen=True, order=True)
class MotifType:
    """A shape with the signs and the positions of its parts; None where they are not told apart."""

    shape: Shape
    signs: str | None = None
    positions: str | None = None

    @property
    def name(self) -> str:
        """Returns its name, such as `chain:+-:so`."""
        return ":".join(part for part in (self.shape.value, self.signs, self.positions) if part is not None)

    def at(self, detail: Detail) -> "MotifType":
        """Returns the type that this one is counted under when less is told apart."""
        return replace(
            self,
            signs=self.signs if detail in ("full", "signs") else None,
            positions=self.positions if detail in ("full", "positions") else None,
        )


def edge_signs(*classes: int) -> str:
    """Returns the signs of edges by their class, such as `+-`."""
    return "".join(SIGNS[number >> 1] for number in classes)


def edge_positions(*classes: int) -> str:
    """Returns the position classes of edges by their class, such as `so`."""
    return "".join(POSITIONS[number & 1] for number in classes)


def type_of(shape: Shape, classes: tuple[int, ...]) -> MotifType:
    """Returns the type of an instance of a shape from the classes of its edges, in the shape's order."""
    signs, positions = edge_signs(*classes), edge_positions(*classes)
    if shape == Shape.DIAMOND:
        products = sorted("+" if signs[start] == signs[start + 1] else "-" for start in (0, 2))
        return MotifType(shape, "".join(products), "s" if set(positions) == {"s"} else "o")
    if shape in LOOPS:
        return MotifType(shape, signs, positions[:2])
    if shape.is_fan:
        return MotifType(shape, signs[:1], positions[:1])
    return MotifType(shape, signs, positions)


def _chains() -> list[MotifType]:
    """Returns them in the order 4·class(ab) + class(bc)."""
    return [
        MotifType(Shape.CHAIN, edge_signs(first, second), edge_positions(first, second))
        for first, second in product(range(4), repeat=2)
    ]


def _loops() -> list[MotifType]:
    """Returns them in the order 8·class(ab) + 2·class(bc) + (1 if ac is negative)."""
    found = []
    for first, second, negative in product(range(4), range(4), range(2)):
        coherent = ((first >> 1) ^ (second >> 1)) == negative
        shape = Shape.COHERENT_LOOP if coherent else Shape.INCOHERENT_LOOP
        found.append(MotifType(shape, edge_signs(first, second, 2 * negative), edge_positions(first, second)))
    return found


# Every type at full detail; counts are arrays in this order.
TYPES: tuple[MotifType, ...] = (
    *_chains(),
    *_loops(),
    *(MotifType(Shape.DIAMOND, signs, ends) for ends in POSITIONS for signs in ("++", "+-", "--")),
    *(MotifType(Shape.INHIBITION, "+-+", "".join(each)) for each in product(POSITIONS, repeat=3)),
    *(MotifType(shape, edge_signs(each), edge_positions(each)) for shape in FANS for each in range(4)),
)
CHAINS, LOOPS_FROM, DIAMONDS, INHIBITIONS, FANS_IN, FANS_OUT = 0, 16, 48, 54, 62, 66
