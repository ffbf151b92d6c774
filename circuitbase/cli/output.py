"""Rows for people and for programs: a table on a terminal, JSON lines when piped, CSV when asked."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import click

Format = Literal["table", "json", "csv"]
WIDTH_IN_FILES = 140  # columns of a table that goes to a file or a pipe


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --json, --csv and --table; the command receives `output`, None where none was given."""
    for flag, meaning in (
        ("table", "A table for people (the default on a terminal)."),
        ("csv", "Comma-separated values."),
        ("json", "One JSON object per line (the default when piped)."),
    ):
        command = click.option(f"--{flag}", "output", flag_value=flag, help=meaning)(command)
    return command


def chosen_format(output: str | None) -> Format:
    """Returns the format asked for, or what suits where standard output goes."""
    if output in ("table", "json", "csv"):
        return output  # type: ignore[return-value]
    return "table" if sys.stdout.isatty() else "json"


def show_rows(
    rows: Iterable[Mapping[str, Any]],
    *,
    output: str | None,
    title: str | None = None,
    columns: Sequence[str] | None = None,
) -> None:
    """Prints rows; `columns` fixes their order and the header of an empty table."""
    found = [dict(row) for row in rows]
    names = list(columns) if columns else list(dict.fromkeys(name for row in found for name in row))
    match chosen_format(output):
        case "json":
            for row in found:
                click.echo(json.dumps({name: row.get(name) for name in names}, ensure_ascii=False, default=str))
        case "csv":
            writer = csv.DictWriter(sys.stdout, fieldnames=names, lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(found)
        case "table":
            _show_table(found, names, title)


def _show_table(rows: list[dict[str, Any]], names: list[str], title: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold")
    numeric = {name for name in names if any(isinstance(row.get(name), int | float) for row in rows)}
    for name in names:
        # Numbers and names must stay whole: text is folded, never cut.
        justify: Literal["left", "right"] = "right" if name in numeric else "left"
        table.add_column(name.replace("_", " "), justify=justify, overflow="fold", no_wrap=name in numeric)
    for row in rows:
        table.add_row(*(cell(row.get(name)) for name in names))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_IN_FILES)
    console.print(table)


def cell(value: Any) -> str:
    """Returns a value as a table shows it: four significant digits, nothing for None."""
    from rich.markup import escape

    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | dict):
        return escape(json.dumps(value, ensure_ascii=False, default=str))
    return escape(str(value))
