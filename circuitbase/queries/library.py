"""The named queries: Cypher files with a header, run with parameters that are always passed.

A file runs in Neo4j Browser and cypher-shell as it stands: comment lines (title, description, one line
for each parameter), then their own `:param name => default;` for each, then one query. The header is
the only place where a parameter's type and default are written. (`:param {limit: 20}` would be shorter,
but in Browser makes 20.0 of 20, which LIMIT refuses.)
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from circuitbase.errors import QueryError

_PARAMETER = re.compile(r"^\$(\w+) (STRING|INTEGER|FLOAT|BOOLEAN): (.+)$")
_DEFAULT = re.compile(r"^:param (\w+) => (.+);$", re.MULTILINE)
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "INTEGER": (int,),
    "FLOAT": (float, int),
    "BOOLEAN": (bool,),
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a named query: its Cypher type, what it means, its default."""

    name: str
    type: str
    meaning: str
    default: Any

    def checked(self, value: Any) -> Any:
        """Returns the value if it is of the parameter's type; raises QueryError."""
        if self.type == "STRING" and not isinstance(value, str):
            value = json.dumps(value)
        if self.type == "FLOAT" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        fits = isinstance(value, _PYTHON_TYPES[self.type]) and isinstance(value, bool) == (self.type == "BOOLEAN")
        if not fits:
            raise QueryError(
                f"parameter {self.name} must be {self.type} ({self.meaning}), got {json.dumps(value)}; "
                f"for example {self.name}={json.dumps(self.default)}"
            )
        return value


@dataclass(frozen=True)
class NamedQuery:
    """One query of the library; `text` has the `$parameters`, `source` is the whole file."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    text: str
    source: str

    @property
    def reads_sums(self) -> bool:
        """Returns whether it reads rollups, so that what is pending has to be added first."""
        return "SEEN_IN" in self.text or "DRIVES" in self.text

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns every parameter's value, given or default; raises QueryError for one that does not exist."""
        known = {parameter.name: parameter for parameter in self.parameters}
        unknown = sorted(set(given) - set(known))
        if unknown:
            takes = ", ".join(known) or "none"
            raise QueryError(f"query {self.name} has no parameter {', '.join(unknown)}; it takes {takes}")
        return {
            name: parameter.checked(given[name]) if name in given else parameter.default
            for name, parameter in known.items()
        }


def names() -> list[str]:
    """Returns the names of all named queries, sorted."""
    return sorted(entry.name.removesuffix(".cypher") for entry in _folder().iterdir() if entry.name.endswith(".cypher"))


def load(name: str) -> NamedQuery:
    """Returns a named query; raises QueryError that lists the names if there is none."""
    if name not in names():
        raise QueryError(f"there is no query {name!r}; the named queries are {', '.join(names())}")
    return parsed(name, (_folder() / f"{name}.cypher").read_text(encoding="utf-8"))


def parsed(name: str, source: str) -> NamedQuery:
    """Returns the query that a file's text holds; raises QueryError if its header is not complete."""
    lines = source.splitlines()
    comments = [line[2:].strip() for line in lines if line.startswith("//")]
    described = [line for line in comments if not line.startswith("$")]
    text = "\n".join(line for line in lines if not line.startswith(("//", ":param"))).strip().removesuffix(";")
    if len(described) < 2 or not text:
        raise QueryError(
            f"query {name} needs a header of `// title` and `// description`, then `:param name => default;` for each "
            "parameter, then one query; correct the file"
        )
    try:
        defaults = {key: json.loads(value) for key, value in _DEFAULT.findall(source)}
    except json.JSONDecodeError as error:
        raise QueryError(f"query {name} has a default that is no JSON value ({error}); correct the file") from error
    parameters = tuple(
        Parameter(name=match[1], type=match[2], meaning=match[3], default=defaults.get(match[1]))
        for match in (_PARAMETER.match(line) for line in comments)
        if match
    )
    if {parameter.name for parameter in parameters} != set(defaults):
        raise QueryError(
            f"query {name} describes {[p.name for p in parameters]} but gives defaults for {list(defaults)}; "
            "each parameter needs both"
        )
    return NamedQuery(
        name=name,
        title=described[0],
        description=" ".join(described[1:]),
        parameters=parameters,
        text=text,
        source=source,
    )


def _folder() -> Any:
    return files("circuitbase.queries") / "cypher"
