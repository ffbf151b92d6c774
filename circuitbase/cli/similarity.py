"""`clusters`, `similar` and `overlap`: which traces, and which sets, use the same circuit."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.cli.reading import reading_session
from circuitbase.cli.reading_bar import reading_bar_of
from circuitbase.cli.selecting import selecting_options, selection_of
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from circuitbase.queries.similar_traces import ClusteredTraces, Distinction

SHOWN_ID = 12
NEAR_COLUMNS = ("likeness", "trace", "prompt", "cluster")
MEMBER_COLUMNS = ("trace", "prompt", "labels")
DISTINCTION_COLUMNS = ("source", "target", "inside", "outside", "effect")


@click.command()
@click.argument("prompt_set", metavar="[SET]", required=False)
@click.option("--traces", "cypher", metavar="CYPHER", help="Instead of a SET, the traces that this Cypher returns.")
@selecting_options
@click.option("--number", type=click.IntRange(min=1), help="Of clusters; by default as many as tell themselves apart.")
@click.option(
    "--limit", default=8, show_default=True, type=click.IntRange(min=1), help="Most prompts and edges of a cluster."
)
@click.option("--configuration", help="Beginning of a configuration's name or id, where there are several.")
@output_options
def clusters(
    prompt_set: str | None,
    cypher: str | None,
    labels: dict[str, Any],
    by_role: bool,
    most_traces: int,
    number: int | None,
    limit: int,
    configuration: str | None,
    output: str | None,
) -> None:
    """Part the traces of a SET into those that use the same circuit, and say what tells them apart.

    Traces are alike that send influence along the same edges (weighted Jaccard index), and average linkage parts
    them. By default several clusters are found only where their silhouette is above 0.25.

    \b
    Examples:
      circuitbase clusters capital-en
      circuitbase clusters --traces "MATCH (t:Trace) RETURN t" --by-role --number 4
    """
    from circuitbase.queries.relabelling import by_role as roles
    from circuitbase.queries.similar_traces import clustered, trace_influence
    from circuitbase.store.trace_store import TraceStore

    if (prompt_set is None) == (cypher is None):
        raise click.UsageError("name a prompt SET, or give --traces with a Cypher that returns traces")
    settings = load_settings()
    with reading_session(settings, *([prompt_set] if prompt_set else [])) as (driver, session):
        selection = selection_of(
            driver,
            session,
            prompt_set,
            cypher=cypher,
            configuration=configuration,
            labels=labels,
            database=settings.neo4j_database,
        )
        check_most(selection.name, len(selection.traces), most_traces)
        with reading_bar_of("reading traces") as heard:
            influence = trace_influence(
                session,
                TraceStore(settings.store_url),
                selection,
                relabelling=roles if by_role else None,
                heard=heard,
            )
        found = clustered(session, influence, number=number, most=limit)
    _show_clusters(found, limit=limit, output=output)


@click.command()
@click.argument("trace")
@click.option("--set", "prompt_set", metavar="SET", help="Look among the traces of this set; by default among all.")
@click.option("--by-role", is_flag=True, help="Compare units by the role of their position, tokens by role alone.")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(min=1), help="Most traces to show.")
@output_options
def similar(trace: str, prompt_set: str | None, by_role: bool, limit: int, output: str | None) -> None:
    """List the traces that share most influence with TRACE (its id, or the first digits of it).

    Only traces under its configuration are compared: numbers of others never mix.

    \b
    Examples:
      circuitbase similar 3f2a91c0
      circuitbase similar 3f2a91c0 --set capital-fr --by-role
    """
    from circuitbase.queries.near import traces_beside
    from circuitbase.queries.relabelling import by_role as roles
    from circuitbase.queries.similar_traces import near_traces, trace_influence
    from circuitbase.store.trace_store import TraceStore

    settings = load_settings()
    with reading_session(settings, *([prompt_set] if prompt_set else [])) as (driver, session):
        id, selection = traces_beside(driver, session, trace, prompt_set=prompt_set, database=settings.neo4j_database)
        with reading_bar_of("reading traces") as heard:
            influence = trace_influence(
                session,
                TraceStore(settings.store_url),
                selection,
                relabelling=roles if by_role else None,
                heard=heard,
            )
        found = near_traces(session, influence, id, most=limit)
    rows = [
        {
            "likeness": near.likeness,
            "trace": near.trace.id[:SHOWN_ID] if chosen_format(output) == "table" else near.trace.id,
            "prompt": near.text,
            "cluster": near.trace.cluster if near.trace.cluster != near.trace.prompt else None,
        }
        for near in found
    ]
    title = f"Traces like {id[:SHOWN_ID]}, of {len(selection.traces)}"
    show_rows(rows, output=output, title=title, columns=NEAR_COLUMNS)


@click.command()
@click.argument("prompt_sets", metavar="[SET]...", nargs=-1)
@click.option("--by-role", is_flag=True, help="Compare units by the role of their position, tokens by role alone.")
@click.option("--configuration", help="Beginning of a configuration's name or id, where sets have several.")
@output_options
def overlap(prompt_sets: tuple[str, ...], by_role: bool, configuration: str | None, output: str | None) -> None:
    """Show how much influence prompt sets share, set by set: which circuits overlap (all sets unless named).

    1 is the same mean influence along the same edges, 0 no common edge (weighted Jaccard index).

    \b
    Examples:
      circuitbase overlap
      circuitbase overlap capital-en capital-fr bird-en --by-role
    """
    from circuitbase.errors import InputError
    from circuitbase.ingest.stored_traces import prompt_sets as known_sets
    from circuitbase.queries.relabelling import by_role as roles
    from circuitbase.queries.rollup_choice import choose_rollup
    from circuitbase.queries.selection import whole_set
    from circuitbase.queries.similar_traces import overlap as overlaps
    from circuitbase.queries.similar_traces import trace_influence
    from circuitbase.store.trace_store import TraceStore

    settings = load_settings()
    with reading_session(settings, *prompt_sets) as (driver, session):
        named = prompt_sets or tuple(
            row["set"] for row in known_sets(driver, database=settings.neo4j_database) if row["traces"]
        )
        if len(named) < 2:
            raise InputError(f"an overlap is of two sets or more, got {len(named)}; name them, or submit another")
        sets = []
        for name in named:
            selection = whole_set(session, choose_rollup(session, name, configuration=configuration))
            with reading_bar_of(f"reading {name}") as heard:
                sets.append(
                    trace_influence(
                        session,
                        TraceStore(settings.store_url),
                        selection,
                        relabelling=roles if by_role else None,
                        heard=heard,
                    )
                )
    configurations = {each.selection.configuration: each.selection.configuration_name for each in sets}
    if len(configurations) > 1:
        raise InputError(
            f"the sets are under {len(configurations)} configurations, which never mix "
            f"({'; '.join(sorted(configurations.values()))}); choose one with --configuration"
        )
    shared = overlaps(sets)
    rows = [
        {"set": name, **{other: float(shared[row, column]) for column, other in enumerate(named)}}
        for row, name in enumerate(named)
    ]
    show_rows(rows, output=output, title="Shared influence of prompt sets")


def check_most(name: str, traces: int, most: int) -> None:
    """Raises InputError for more traces than are read one by one."""
    from circuitbase.errors import InputError

    if traces > most:
        raise InputError(f"{name} has {traces:,} traces, and at most {most:,} are read; raise --most-traces")


def _show_clusters(found: "ClusteredTraces", *, limit: int, output: str | None) -> None:
    table = chosen_format(output) == "table"
    if not table:
        rows: list[dict[str, Any]] = []
        for number, cluster in enumerate(found.clusters, start=1):
            facts = {"traces": len(cluster.traces), "likeness_inside": cluster.likeness_inside}
            rows.append({"row": "cluster", "number": number, **facts, "silhouette": found.silhouette})
            rows += [
                {"row": "member", "number": number, "trace": trace.id, "prompt": text, "labels": dict(trace.labels)}
                for trace, text in zip(cluster.traces, cluster.texts, strict=True)
            ]
            rows += [{"row": "distinction", "number": number, **_distinction(each)} for each in cluster.distinctions]
        show_rows(rows, output=output)
        return
    click.echo(f"{len(found.clusters)} clusters of {found.selection.name}, silhouette {found.silhouette:.2f}")
    click.echo(found.selection.configuration_name)
    for number, cluster in enumerate(found.clusters, start=1):
        members = [
            {"trace": trace.id[:SHOWN_ID], "prompt": text, "labels": dict(trace.labels)}
            for trace, text in list(zip(cluster.traces, cluster.texts, strict=True))[:limit]
        ]
        title = (
            f"Cluster {number}: {len(cluster.traces)} traces, mean likeness {cluster.likeness_inside:.2f} "
            f"({len(members)} shown)"
        )
        show_rows(members, output=output, title=title, columns=MEMBER_COLUMNS)
        if cluster.distinctions:
            told = [_distinction(each) for each in cluster.distinctions]
            show_rows(told, output=output, title=f"What cluster {number} has more of", columns=DISTINCTION_COLUMNS)


def _distinction(each: "Distinction") -> dict[str, Any]:
    return {
        "source": each.source_facts.name,
        "target": each.target_facts.name,
        "inside": each.inside.value,
        "outside": each.outside.value,
        "effect": each.effect,
    }
