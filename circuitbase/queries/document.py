"""`docs/queries.md`, written from the headers of the named queries.

`python -m circuitbase.queries.document` writes it; with `--check` it exits with 1 if it is not current.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from circuitbase.queries import library
from circuitbase.queries.library import NamedQuery

PATH = Path("docs/queries.md")

_START = """\
# Named queries

*Written by `python -m circuitbase.queries.document` from the headers of `circuitbase/queries/cypher/*.cypher`;
change those.*

Each runs from the command line, with any of its parameters, and as it stands in Neo4j Browser:

```text
circuitbase query circuit-edges set=capital-en limit=10
circuitbase query circuit-edges --text          # prints what to paste into Browser
circuitbase query --list
```

In Browser the first statement, `:param`, sets the parameters; change the values there. From Python,
`circuitbase.queries.library.load(name)` gives the text, the parameters and their defaults. The sums of
prompt sets (`Rollup`, `DRIVES`, `SEEN_IN`) hold every stored trace once a command has read them, which
adds what is pending; in Browser, run `circuitbase rollup` before.
"""


def document() -> str:
    """Returns the text of `docs/queries.md`."""
    return "\n".join(_lines([library.load(name) for name in library.names()])) + "\n"


def _lines(found: Sequence[NamedQuery]) -> Iterator[str]:
    yield _START
    yield "| query | answers |"
    yield "| --- | --- |"
    for query in found:
        yield f"| [`{query.name}`](#{query.name}) | {query.title} |"
    for query in found:
        yield f"\n## {query.name}\n"
        yield f"**{query.title}.** {query.description}\n"
        if query.parameters:
            yield "| parameter | type | default | meaning |"
            yield "| --- | --- | --- | --- |"
            for each in query.parameters:
                default = json.dumps(each.default, ensure_ascii=False)
                yield f"| `{each.name}` | {each.type} | `{default}` | {each.meaning} |"
            yield ""
        yield f"```cypher\n{query.source.rstrip()}\n```"


def main(arguments: Sequence[str]) -> int:
    """Writes or, with `--check`, compares the document; returns the exit code."""
    if list(arguments) == ["--check"]:
        current = PATH.exists() and PATH.read_text() == document()
        if not current:
            sys.stderr.write(f"{PATH} is not current; run `python -m circuitbase.queries.document`\n")
        return 0 if current else 1
    if arguments:
        sys.stderr.write(f"expected nothing or --check, got {' '.join(arguments)}\n")
        return 2
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
