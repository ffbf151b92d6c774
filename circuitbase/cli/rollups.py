"""`rollup`, `remove` and `digest`: keeping the sums right, and proving that they are."""

import click

from circuitbase.cli.output import output_options, show_rows
from circuitbase.settings import load_settings


@click.command()
@click.argument("prompt_set", required=False, metavar="[SET]")
@click.option("--rebuild", "anew", is_flag=True, help="Delete the sums and make them anew from the stored traces.")
@output_options
def rollup(prompt_set: str | None, anew: bool, output: str | None) -> None:
    """Add stored traces that are still pending to the sums of SET, or of every set.

    Workers do this by themselves, and whoever reads sums does it first.

    \b
    Examples:
      circuitbase rollup
      circuitbase rollup capital-en --rebuild
    """
    from circuitbase.ingest.connection import open_driver
    from circuitbase.queries.rollup import rebuild, roll_up
    from circuitbase.queries.rollup_choice import check_set
    from circuitbase.store.trace_store import TraceStore

    settings = load_settings()
    with open_driver(settings) as driver:
        if prompt_set is not None:
            with driver.session(database=settings.neo4j_database) as session:
                check_set(session, prompt_set)
        report = (rebuild if anew else roll_up)(
            driver, store=TraceStore(settings.store_url), prompt_set=prompt_set, database=settings.neo4j_database
        )
    show_rows([{"traces_added": report.traces, "rollups": report.rollups, "unit_pairs": report.pairs}], output=output)


@click.command()
@click.argument("name", metavar="TRACE|SET")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--rebuild", "anew", is_flag=True, help="Make the sums anew, where the trace's file is gone.")
@output_options
def remove(name: str, yes: bool, anew: bool, output: str | None) -> None:
    """Remove a trace (its id, or the first digits of it), or a prompt set, from Neo4j and from the sums.

    A trace whose prompt is in another set too stays stored when a set is removed. Trace files stay in
    the store.

    \b
    Examples:
      circuitbase remove capital-en
      circuitbase remove 3f2a91c0d4e5 --yes
    """
    from circuitbase.ingest.connection import open_driver
    from circuitbase.queries.removal import remove_set, remove_trace
    from circuitbase.queries.removal_target import removal_target
    from circuitbase.store.trace_store import TraceStore

    settings = load_settings()
    database = settings.neo4j_database
    with open_driver(settings) as driver:
        target = removal_target(driver, name, database=database)
        if not yes:
            click.confirm(f"Remove {target.described}?", abort=True, err=True)
        if target.trace_id is not None:
            store = TraceStore(settings.store_url)
            removed = remove_trace(driver, target.trace_id, store=store, database=database, rebuild=anew)
        else:
            removed = remove_set(driver, name, database=database)
    show_rows(
        [{"traces": removed.traces, "nodes": removed.nodes, "edges": removed.edges, "rollups": removed.rollups}],
        output=output,
    )


@click.command()
@click.argument("prompt_set", required=False, metavar="[SET]")
@output_options
def digest(prompt_set: str | None, output: str | None) -> None:
    """Print one hash over what is stored of SET, or of everything; what is pending is added to the sums first.

    Two databases with the same digest hold the same traces, bit for bit, and the same sums to six
    significant digits, in whatever order they were stored.

    \b
    Example:
      circuitbase digest capital-en
    """
    from circuitbase.cli.reading import reading_session
    from circuitbase.queries.digest import digest as digested

    settings = load_settings()
    with reading_session(settings, *filter(None, [prompt_set])) as (driver, _):
        found = digested(driver, prompt_set=prompt_set, database=settings.neo4j_database)
    show_rows([{"digest": found.digest, "traces": found.traces, "rollups": found.rollups}], output=output)
