"""Which labels, relationship types and properties of a Cypher text are not declared.

Reads patterns, label predicates, property access and map projections. A variable's properties are
checked against the labels or types it was bound with; one that carries rows or maps is free. What a
variable of unknown origin has must be declared somewhere, or be a key of a map in the same text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from circuitbase.schema.cypher_tokens import END, Token, tokens
from circuitbase.schema.declaration import NODES, RELATIONSHIPS
from circuitbase.schema.kinds import UNIT_LABELS

_LAYER_LABEL = re.compile(r"L\d{2,}")
_LABELS = {label.name: {p.name for p in label.properties} for label in NODES}
_LABELS |= {label: _LABELS["Unit"] | _LABELS.get(label, set()) for label in UNIT_LABELS}
_TYPES = {kind.name: {p.name for p in kind.properties} for kind in RELATIONSHIPS}
_OPEN_TYPES = {kind.name for kind in RELATIONSHIPS if kind.open}
_EVERY_PROPERTY = {name for names in (*_LABELS.values(), *_TYPES.values()) for name in names}


def undeclared_names(cypher: str) -> list[str]:
    """Returns a sentence for each name in a Cypher text that the schema does not declare; empty if none."""
    reader = _Reader(tokens(cypher))
    return list(dict.fromkeys(reader.problems()))


@dataclass
class _Reader:
    """One pass over the tokens; `bound` maps a variable to the labels and types it was bound with."""

    tokens: list[Token]
    bound: dict[str, set[str]] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)

    def problems(self) -> Iterator[str]:
        found = [*self._patterns()]
        self._bind_aliases()
        yield from found
        yield from self._accesses()

    def _at(self, place: int) -> Token:
        return self.tokens[place] if 0 <= place < len(self.tokens) else END

    def _patterns(self) -> Iterator[str]:
        for place, token in enumerate(self.tokens):
            before = self._at(place - 1)
            is_node = token.text == "(" and (before.kind != "name" or before.is_word(*_BEFORE_PATTERN))
            is_relationship = token.text == "[" and before.text == "-"
            if is_node or is_relationship:
                yield from self._pattern(place + 1, _LABELS if is_node else _TYPES)
            elif token.text == ":" and self._is_predicate(place):
                names, _ = self._names(place + 1)
                self.bound.setdefault(before.text, set()).update(names)
                yield from (f"{name} is no declared label or type" for name in names if not _is_declared(name))

    def _pattern(self, place: int, declared: dict[str, set[str]]) -> Iterator[str]:
        variable = None
        if self._at(place).kind == "name":
            variable, place = self._at(place).text, place + 1
        names: list[str] = []
        if self._at(place).text == ":":
            names, place = self._names(place + 1)
        what = "label" if declared is _LABELS else "relationship type"
        yield from (
            f"{name} is no declared {what}"
            for name in names
            if name not in declared and not (declared is _LABELS and _LAYER_LABEL.fullmatch(name))
        )
        while self._at(place).kind == "number" or self._at(place).text in ("*", ".."):
            place += 1
        if self._at(place).text not in ("{", ")", "]") and not self._at(place).is_word("WHERE"):
            return  # an expression in parentheses, or a list
        if variable is not None:
            self.bound.setdefault(variable, set()).update(names)
        if self._at(place).text == "{":
            known = self.bound.get(variable or "", set()) | set(names)
            yield from (_undeclared(key, known) for key in self._keys(place) if not _is_property(key, known))

    def _is_predicate(self, place: int) -> bool:
        """Returns whether the colon at `place` asks for or sets a label, rather than ends a map's key."""
        if self._at(place - 1).kind != "name" or self._at(place + 1).kind != "name":
            return False
        return self._at(place - 2).text not in ("{", ",", "(", "[", "|") or self._depth_sign(place) not in (
            "{",
            "(",
            "[",
        )

    def _depth_sign(self, place: int) -> str:
        """Returns the bracket that `place` lies in; empty outside of all."""
        depth = 0
        for token in reversed(self.tokens[:place]):
            if token.text in (")", "]", "}"):
                depth += 1
            elif token.text in ("(", "[", "{"):
                if depth == 0:
                    return token.text
                depth -= 1
        return ""

    def _names(self, place: int) -> tuple[list[str], int]:
        """Returns the names of a label or type expression and the place behind it."""
        names = []
        while True:
            token = self._at(place)
            if token.kind == "name" and not token.is_word(*_AFTER_NAMES) and self._at(place - 1).text in _JOINS:
                names.append(token.text)
            elif token.text == "$" and self._at(place + 1).text == "(":
                place = self._closing(place + 1)
            elif token.text not in _JOINS:
                return names, place
            place += 1

    def _closing(self, place: int) -> int:
        depth = 0
        while place < len(self.tokens):
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(self._at(place).text, 0)
            if depth == 0:
                break
            place += 1
        return place

    def _keys(self, opening: int) -> Iterator[str]:
        """Yields the keys of the map that opens here, of its first level only."""
        place = opening + 1
        while place < self._closing(opening):
            token, before = self._at(place), self._at(place - 1)
            if token.text in ("(", "[", "{"):
                place = self._closing(place)
            elif token.kind == "name" and before.text in ("{", ",") and self._at(place + 1).text == ":":
                yield token.text
            place += 1

    def _bind_aliases(self) -> None:
        """Follows `x AS y`; what comes from a parameter, a map or a procedure is free."""
        clause: list[Token] = []
        for place, token in enumerate(self.tokens):
            if token.is_word(*_CLAUSES) or token.text == ",":
                clause = []
                if token.is_word("YIELD"):
                    self.free.add(self._at(place + 1).text)
            elif token.is_word("AS") and self._at(place + 1).kind == "name":
                self._bind_alias(self._at(place + 1).text, clause)
                clause = []
            else:
                clause.append(token)

    def _bind_alias(self, name: str, expression: list[Token]) -> None:
        if len(expression) == 1 and expression[0].text in self.bound:
            self.bound.setdefault(name, set()).update(self.bound[expression[0].text])
        elif any(token.kind == "parameter" or token.text in ("{", "}") for token in expression) or any(
            token.text in self.free for token in expression
        ):
            self.free.add(name)

    def _accesses(self) -> Iterator[str]:
        made = self._made_keys()
        for place, token in enumerate(self.tokens):
            if token.text != "." or self._at(place + 1).kind != "name":
                continue
            name, before = self._at(place + 1).text, self._at(place - 1)
            if before.text in ("{", ","):
                owner = self._projected(place)
            elif before.kind == "name" and self._at(place - 2).text != "." and not self._is_function(place):
                owner = before.text
            else:
                continue  # a part of a value, or a function
            if owner is None or owner in self.free:
                continue
            known = self.bound.get(owner, set())
            if not _is_property(name, known) and (known or name not in made):
                yield _undeclared(name, known)

    def _made_keys(self) -> set[str]:
        """Returns the keys of every map in the text: what a variable that holds such a map has."""
        opened = [place for place, token in enumerate(self.tokens) if token.text == "{"]
        return {key for place in opened for key in self._keys(place)}

    def _is_function(self, place: int) -> bool:
        while self._at(place).text == "." and self._at(place + 1).kind == "name":
            place += 2
        return self._at(place).text == "("

    def _projected(self, place: int) -> str | None:
        """Returns the variable before the `{` of the map projection that `place` lies in."""
        depth = 0
        for opening in range(place - 1, -1, -1):
            text = self.tokens[opening].text
            depth += {")": 1, "]": 1, "}": 1, "(": -1, "[": -1, "{": -1}.get(text, 0)
            if depth < 0:
                before = self._at(opening - 1)
                return before.text if text == "{" and before.kind == "name" else None
        return None


_BEFORE_PATTERN = frozenset(
    "MATCH CREATE MERGE WHERE AND OR NOT XOR FOR EXISTS COUNT SHORTEST SHORTESTPATH ALLSHORTESTPATHS "
    "THEN ELSE WHEN ANY ALL IN PATHS".split()
)
_AFTER_NAMES = ("WHERE",)
_JOINS = (":", "|", "&", "!", "%", "(")
_CLAUSES = ("WITH", "RETURN", "UNWIND", "MATCH", "WHERE", "YIELD", "CALL", "DISTINCT", "CREATE", "MERGE", "SET")


def _is_declared(name: str) -> bool:
    return name in _LABELS or name in _TYPES or bool(_LAYER_LABEL.fullmatch(name))


def _is_property(name: str, owners: set[str]) -> bool:
    known = {owner for owner in owners if owner in _LABELS or owner in _TYPES}
    if owners & _OPEN_TYPES:
        return True
    if any(_LAYER_LABEL.fullmatch(owner) for owner in owners):
        known.add("Unit")
    if not known:
        return bool(owners) or name in _EVERY_PROPERTY  # undeclared owners are named already
    return any(name in (_LABELS | _TYPES)[owner] for owner in known)


def _undeclared(name: str, owners: set[str]) -> str:
    return f"{name} is no declared property of {' or '.join(sorted(owners)) or 'any label or type'}"
