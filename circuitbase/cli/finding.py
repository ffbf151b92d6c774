"""`find`: the prompts whose traces realise a path."""

import json
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from circuitbase.queries.named_units import NamedUnits
    from circuitbase.queries.path_search import FoundPath

SHOWN_ID = 12
COLUMNS = ("strength", "trace", "prompt", "path", "positions", "paths")


@click.command()
@click.argument("path")
@click.option("--set", "prompt_set", metavar="SET", help="Only prompts of this set; by default all.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1), help="Most traces to show.")
@click.option("--seconds", default=60.0, show_default=True, help="Time limit of the search.")
@click.option("--as-cypher", is_flag=True, help="Print the Cypher of the search, to go on in Neo4j Browser.")
@output_options
def find(path: str, prompt_set: str | None, limit: int, seconds: float, as_cypher: bool, output: str | None) -> None:
    """List the prompts whose traces realise PATH through the same trace nodes, the strongest first.

    PATH is 2 to 4 units with -> between them: names such as L03/F00123, in "Dover", L02/head/1 or an output's role,
    ids, or * for any one unit; L02/head/1<q> asks for an edge into the head's queries. The strength is the product of
    the edges' shares of their targets' input; of several paths in a trace the strongest is shown.

    \b
    Examples:
      circuitbase find "L01/F00012 -> * -> answer"
      circuitbase find 'in "Dover" -> L03/F00123' --set capital-en --limit 5
    """
    from circuitbase.ingest.connection import open_driver
    from circuitbase.queries.named_units import named_units
    from circuitbase.queries.path_language import parsed_path
    from circuitbase.queries.path_search import path_cypher, path_parameters, search_paths
    from circuitbase.queries.rollup_choice import check_set

    steps = parsed_path(path)
    settings = load_settings()
    with open_driver(settings) as driver:
        with driver.session(database=settings.neo4j_database, default_access_mode="READ") as session:
            if prompt_set is not None:
                check_set(session, prompt_set)
            units = named_units(session, [step.unit for step in steps if step.unit is not None])
        if as_cypher:
            given = path_parameters(steps, units, prompt_set=prompt_set, limit=limit)
            click.echo(_pasteable(path_cypher(steps, units), given))
            return
        _say_what_names_stand_for(units)
        found = search_paths(
            driver,
            steps,
            units,
            prompt_set=prompt_set,
            limit=limit,
            database=settings.neo4j_database,
            seconds=seconds,
        )
    table = chosen_format(output) == "table"
    rows = [_row(each, table=table) for each in found.found]
    title = f"{path}: {len(rows)} of {found.traces} traces"
    show_rows(rows, output=output, title=title, columns=COLUMNS if table else None)


def _row(each: "FoundPath", *, table: bool) -> dict[str, Any]:
    from circuitbase.queries.path_language import ARROW

    ports = (None, *each.ports)
    names = [unit if port is None else f"{unit}<{port}>" for unit, port in zip(each.units, ports, strict=True)]
    return {
        "strength": each.strength,
        "trace": each.trace[:SHOWN_ID] if table else each.trace,
        "prompt": each.text,
        "path": f" {ARROW} ".join(names),
        "positions": list(each.positions),
        "weights": list(each.weights),
        "paths": each.paths,
        "configuration": each.configuration,
    }


def _say_what_names_stand_for(units: "dict[str, NamedUnits]") -> None:
    for name, each in units.items():
        if each.names != (name,) and name not in each.ids:
            click.echo(f"{name} was taken for {', '.join(each.names)}.", err=True)
        if len(each.ids) > len(each.names):
            click.echo(
                f"{name} is the name of {len(each.ids)} units, and all are looked for; give an id for one: "
                f"{', '.join(each.ids)}",
                err=True,
            )


def _pasteable(text: str, given: dict[str, Any]) -> str:
    lines = [f":param {name} => {json.dumps(value, ensure_ascii=False)};" for name, value in given.items()]
    return "\n".join([*lines, f"{text};"])
