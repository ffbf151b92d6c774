"""`docs/commands.md`, written from `--help`.

`python -m circuitbase.cli.reference` writes it; with `--check` it exits with 1 if it is not current.
"""

import sys
from collections.abc import Iterator, Sequence
from difflib import unified_diff
from itertools import islice
from pathlib import Path

import click

from circuitbase.cli.main import main as circuitbase

PATH = Path("docs/commands.md")
WIDTH = 100
SHOWN_LINES = 40  # of what is not current

_START = """\
# Commands

*Written by `python -m circuitbase.cli.reference` from each command's `--help`; change that.*

Every command prints a table on a terminal and JSON lines when piped, where it prints rows (`--table`, `--json`,
`--csv` choose), and ends with exit code 1 and one sentence when it cannot do what was asked.
Where Neo4j, Redis and the store are, comes from `CIRCUITBASE_*` variables, then `circuitbase.toml`; without any,
the private services of `circuitbase up` are used.
"""


def document() -> str:
    """Returns the text of `docs/commands.md`."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    top = click.Context(circuitbase, info_name="circuitbase", **circuitbase.context_settings)
    found = list(_commands(circuitbase, top, path=("circuitbase",)))
    yield _START
    yield "| command | does |"
    yield "| --- | --- |"
    for name, command, _ in found:
        yield f"| [`{name}`](#{_anchor(name)}) | {command.get_short_help_str(limit=WIDTH)} |"
    for name, _, text in found:
        yield f"\n## {name}\n"
        yield f"```text\n{text}\n```"


def _commands(
    group: click.Group, context: click.Context, *, path: tuple[str, ...]
) -> Iterator[tuple[str, click.Command, str]]:
    """Yields (name, command, help) of each command below a group, groups before what they hold."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        own = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH, max_content_width=WIDTH)
        yield " ".join((*path, name)), command, command.get_help(own)
        if isinstance(command, click.Group):
            yield from _commands(command, own, path=(*path, name))


def _anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def main(arguments: Sequence[str]) -> int:
    """Writes or, with `--check`, compares the document; returns the exit code."""
    if list(arguments) == ["--check"]:
        stored, made = PATH.read_text() if PATH.exists() else "", document()
        if stored != made:
            sys.stderr.write(f"{PATH} is not current; run `python -m circuitbase.cli.reference`\n")
            lines = unified_diff(stored.splitlines(), made.splitlines(), "stored", "made", lineterm="", n=1)
            sys.stderr.writelines(f"{line}\n" for line in islice(lines, SHOWN_LINES))
        return int(stored != made)
    if arguments:
        sys.stderr.write(f"expected nothing or --check, got {' '.join(arguments)}\n")
        return 2
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
