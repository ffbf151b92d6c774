"""`docs/schema.md`, written from the declaration.

`python -m circuitbase.schema.document` writes it; with `--check` it exits with 1 if it is not current.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from circuitbase.schema import constraints
from circuitbase.schema.declaration import NODES, RELATIONSHIPS, SCHEMA_VERSION, NodeLabel, Property, RelationshipType
from circuitbase.schema.migrations import MIGRATIONS

PATH = Path("docs/schema.md")

_START = """\
# The schema

*Written by `python -m circuitbase.schema.document` from `circuitbase/schema/declaration.py`; change that.*

Everything that circuitbase stores in Neo4j: labels, relationship types and properties. Nothing else is
written, and every Cypher text of the package is checked against this list.

```
(:Model)<-[:READS]-(:Dictionary)<-[:IN_DICTIONARY]-(:Unit)
(:PromptSet)<-[:IN_SET]-(:Prompt)<-[:OF_PROMPT]-(:Trace)-[:UNDER]->(:Configuration)-[:USES]->(:Dictionary)
(:Trace)-[:CONTAINS]->(:TraceNode)-[:OF]->(:Unit)
(:TraceNode)-[:AFFECTS]->(:TraceNode)         one trace's edges
(:Prompt)-[:ACTIVATES]->(:Unit:Feature)       what fired on a prompt
(:Rollup)-[:OVER]->(:PromptSet)               sums over the traces of a set
(:Rollup)-[:UNDER]->(:Configuration)
(:Trace)-[:SUMMED_IN]->(:Rollup)
(:Unit)-[:DRIVES]->(:Unit)                    the sums of edges
(:Unit)-[:SEEN_IN]->(:Rollup)                 the sums of units
```

A property that is not *always* there is absent where it has no meaning (Cypher: `IS NULL`). Trace nodes and
`AFFECTS` belong to exactly one trace; units, prompts, models, dictionaries and configurations are shared.
For every trace node that is a target, over its stored edges, `sum(weight) + rest + bias_effect = preactivation`
within the rounding of float32.
"""


def document() -> str:
    """Returns the text of `docs/schema.md`."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _START
    yield "## Nodes\n"
    for label in NODES:
        yield from _node(label)
    yield "## Relationships\n"
    for kind in RELATIONSHIPS:
        yield from _relationship(kind)
    yield "## Constraints and indexes\n"
    yield "```cypher"
    yield from (f"{statement};" for statement in constraints.statements())
    yield "```\n"
    yield "## Migrations\n"
    yield f"This is version {SCHEMA_VERSION}. `circuitbase migrate` brings an older database here; in order:\n"
    for number, migration in enumerate(MIGRATIONS, start=1):
        yield f"{number}. `{migration.__name__}`: {_first_line(migration.__doc__)}"


def _node(label: NodeLabel) -> Iterator[str]:
    yield f"### :{label.name}\n"
    yield f"{_sentence(label.meaning)}\n"
    yield from _properties(label.properties, key=label.key)
    yield ""


def _relationship(kind: RelationshipType) -> Iterator[str]:
    yield f"### (:{kind.start})-[:{kind.name}]->(:{kind.end})\n"
    yield f"{_sentence(kind.meaning)}\n"
    if kind.properties:
        yield from _properties(kind.properties, key=kind.key)
        yield ""


def _properties(properties: Sequence[Property], *, key: str | None) -> Iterator[str]:
    yield from _row(("property", "type", "always", "meaning"))
    yield from _row(("---", "---", "---", "---"))
    for property in properties:
        always = "unique" if property.name == key else "yes" if property.required else ""
        yield from _row((f"`{property.name}`", property.type, always, property.meaning.replace("|", "\\|")))


def _row(cells: Iterable[str]) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def _sentence(meaning: str) -> str:
    return f"{meaning[0].upper()}{meaning[1:]}."


def _first_line(docstring: str | None) -> str:
    assert docstring is not None
    return docstring.strip().splitlines()[0]


def main(arguments: Sequence[str]) -> int:
    """Writes or, with `--check`, compares the document; returns the exit code."""
    if list(arguments) == ["--check"]:
        current = PATH.exists() and PATH.read_text() == document()
        if not current:
            sys.stderr.write(f"{PATH} is not current; run `python -m circuitbase.schema.document`\n")
        return 0 if current else 1
    if arguments:
        sys.stderr.write(f"expected nothing or --check, got {' '.join(arguments)}\n")
        return 2
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
