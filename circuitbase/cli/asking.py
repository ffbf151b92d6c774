"""Asking the database: named queries and any Cypher that only reads."""

import json
import sys
from typing import Any

import click

from circuitbase.cli.output import output_options, show_rows


@click.command()
@click.argument("name", required=False)
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option("--list", "listed", is_flag=True, help="List the named queries with their parameters and defaults.")
@click.option("--text", is_flag=True, help="Print the query as it runs in Neo4j Browser, and do not run it.")
@click.option("--seconds", default=60.0, show_default=True, help="Time limit of the query.")
@output_options
def query(
    name: str | None, parameters: tuple[str, ...], listed: bool, text: bool, seconds: float, output: str | None
) -> None:
    """Run a named query.

    \b
    Examples:
      circuitbase query --list
      circuitbase query circuit-edges set=capital-en limit=10
      circuitbase query account --text
    """
    from circuitbase.queries import library

    if listed or name is None:
        found = [library.load(each) for each in library.names()]
        rows = [
            {
                "query": each.name,
                "title": each.title,
                "parameters": " ".join(f"{p.name}={json.dumps(p.default)}" for p in each.parameters),
            }
            for each in found
        ]
        show_rows(rows, output=output)
        return
    wanted = library.load(name)
    if text:
        click.echo(wanted.source.rstrip())
        return
    arguments = wanted.arguments(parsed_parameters(parameters))
    _run(
        wanted.text,
        arguments,
        seconds=seconds,
        limit=None,
        output=output,
        title=wanted.title,
        adds_pending=wanted.reads_sums,
    )


@click.command()
@click.argument("text")
@click.argument("parameters", nargs=-1, metavar="[PARAMETER=VALUE]...")
@click.option("--seconds", default=60.0, show_default=True, help="Time limit of the query.")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(min=1), help="Most rows to show.")
@output_options
def cypher(text: str, parameters: tuple[str, ...], seconds: float, limit: int, output: str | None) -> None:
    """Run any Cypher that only reads; TEXT is the Cypher, or - for standard input.

    Writes, LOAD CSV and administration are refused. A value is read as JSON, and as text where it is none.

    \b
    Examples:
      circuitbase cypher "MATCH (s:PromptSet) RETURN s.name"
      circuitbase cypher 'MATCH (u:Feature {layer: $layer}) RETURN u.name LIMIT 5' layer=2
    """
    if text == "-":
        text = sys.stdin.read()
    _run(text, parsed_parameters(parameters), seconds=seconds, limit=limit, output=output, title=None)


def parsed_parameters(given: tuple[str, ...]) -> dict[str, Any]:
    """Returns `name=value` arguments as a mapping; a value is JSON where it parses, else text."""
    found: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not name.isidentifier():
            raise click.UsageError(f"a parameter is given as name=value, got {each!r}")
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def _run(
    text: str,
    parameters: dict[str, Any],
    *,
    seconds: float,
    limit: int | None,
    output: str | None,
    title: str | None,
    adds_pending: bool = False,
) -> None:
    from circuitbase.cli.reading import add_pending
    from circuitbase.ingest.connection import open_driver
    from circuitbase.queries.reading import ROWS, run_read_only
    from circuitbase.settings import load_settings

    settings = load_settings()
    with open_driver(settings) as driver:
        if adds_pending:
            add_pending(driver, settings)
        found = run_read_only(
            driver, text, parameters, database=settings.neo4j_database, seconds=seconds, rows=limit or ROWS
        )
    show_rows(found.rows, output=output, title=title, columns=found.columns)
    if not found.complete:
        click.echo(f"only the first {len(found.rows)} rows are shown; raise --limit for more", err=True)
