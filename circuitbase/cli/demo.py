"""`demo`: the whole main job on the packaged model, told and shown."""

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.job_bars import bars
from circuitbase.cli.output import show_rows
from circuitbase.settings import Settings, load_settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from circuitbase.demo.findings import Findings
    from circuitbase.demo.run import DemoRun
    from circuitbase.queries.contrast import ContrastUnit
    from circuitbase.workers.following import Progress

SHOWN_UNITS, SHOWN_EDGES, SHOWN_COMPARED = 10, 10, 5
A_QUERY = (
    "MATCH (u:Feature)-[s:SEEN_IN]->(r:Rollup)-[:OVER]->(p:PromptSet) WHERE s.traced = r.traces "
    "RETURN u.name AS feature, collect(p.name) AS always_in ORDER BY size(always_in) DESC, feature LIMIT 10"
)


@click.command()
def demo() -> None:
    """Trace the packaged prompt sets and show what they share.

    Starts the private services and two workers, queues every packaged prompt, stores and rolls up the
    traces, and prints global circuits. Run again, it stores nothing twice. The services and workers keep
    running until `circuitbase down`; after Ctrl+C the workers that it started are stopped.

    \b
    Example:
      circuitbase demo
    """
    from circuitbase.demo.run import run_demo

    settings = load_settings()
    with bars() as shown:
        done = run_demo(settings, Told(shown))
    if done.findings is None:
        show_failures(done)
        sys.exit(1)
    show_findings(done.findings)
    show_next(settings, done.findings)


class Told:
    """An audience that shows sentences and bars on standard error."""

    def __init__(self, bars: "Bars") -> None:
        self.bars = bars
        self.rows: dict[str, Any] = {}

    def say(self, sentence: str) -> None:
        """Prints what happens."""
        self.bars.console.print(sentence, markup=False)

    def fetched(self, done: int, total: int) -> None:
        """Moves the bar of Neo4j's megabytes."""
        self._show("fetched MB", done // 2**20, total // 2**20)

    def queued(self, done: int, total: int) -> None:
        """Moves the bar of prompts."""
        self._show("queued", done, total)

    def progressed(self, progress: "Progress") -> None:
        """Moves the bars of jobs."""
        self._show("traced", progress.traced, progress.total)
        self._show("stored", progress.stored, progress.total)

    def _show(self, name: str, done: int, total: int) -> None:
        if name not in self.rows:
            self.rows[name] = self.bars.add_task(name, total=total)
        self.bars.update(self.rows[name], completed=done, total=total)


def show_failures(done: "DemoRun") -> None:
    """Prints the prompts that could not be traced or stored, each with its reason."""
    rows = [
        {"set": ", ".join(job.prompt_sets), "prompt": job.request.prompt.text, "reason": job.error}
        for job in done.failed
    ]
    if rows:
        show_rows(rows, output="table", title=f"{len(rows)} jobs failed")
    if done.gone:
        click.echo(f"{done.gone} jobs have no record any more; run the demo again")
    click.echo("What is stored stays; `circuitbase jobs dead` lists what failed again.")


def show_findings(found: "Findings") -> None:
    """Prints totals, the global circuit of one set, and what two sets share."""
    from circuitbase.cli.circuit_tables import edge_row, unit_row

    totals = found.totals
    row = {
        "sets": totals.sets,
        "prompts": totals.prompts,
        "traces": totals.traces,
        "trace_nodes": totals.nodes,
        "edges": totals.edges,
        "units": totals.units,
    }
    show_rows([row], output="table", title="Stored")
    circuit = found.circuit
    about = f"{circuit.rollup.prompt_set}, {circuit.rollup.traces} traces"
    show_rows(
        [unit_row(unit, found.labels) for unit in circuit.units[:SHOWN_UNITS]],
        output="table",
        title=f"Global circuit of {about}: units ({min(SHOWN_UNITS, circuit.n_units)} of {circuit.n_units})",
        columns=("unit", "label", "presence", "mean_influence"),
    )
    show_rows(
        [edge_row(edge, found.labels) for edge in circuit.edges[:SHOWN_EDGES]],
        output="table",
        title=f"Global circuit of {about}: edges ({min(SHOWN_EDGES, circuit.n_edges)} of {circuit.n_edges})",
        columns=("source", "target", "presence", "mean_weight", "sign_agreement"),
    )
    show_comparison(found)


def show_comparison(found: "Findings") -> None:
    """Prints the features that both sets have, and those that one has more often than the other."""
    first, second = (each.rollup.prompt_set for each in (found.contrast.first, found.contrast.second))
    shared = [unit for unit in found.contrast.shared_units() if unit.kind == "Feature"]
    different = [unit for unit in found.contrast.differing_units() if unit.kind == "Feature"]
    edges = len(found.contrast.shared_edges())
    lists = [
        (f"Shared by {first} and {second}: {len(shared)} features, {edges} edges", shared),
        (f"Features that tell {first} and {second} apart: {len(different)}", different),
    ]
    for title, units in lists:
        rows = [compared_row(unit, found, first, second) for unit in units[:SHOWN_COMPARED]]
        if rows:
            show_rows(rows, output="table", title=f"{title} ({len(rows)} shown)")
        else:
            click.echo(title)


def compared_row(unit: "ContrastUnit", found: "Findings", first: str, second: str) -> dict[str, Any]:
    """Returns a feature with its presence in two sets."""
    return {
        "feature": unit.name,
        "label": found.labels.get(unit.id),
        f"presence in {first}": unit.presence.first.value,
        f"presence in {second}": unit.presence.second.value,
    }


def show_next(settings: Settings, found: "Findings") -> None:
    """Prints where the picture is and the next three things to try, as they can be pasted."""
    command = called_as()
    click.echo(f"\nThe circuit as a picture: {found.picture}\n\nNext:")
    click.echo(f"1. Look at circuits in Neo4j Browser:\n     {browser_address(settings)}")
    if settings.uses_private_services:
        click.echo(f"   The password is in {settings.home / 'neo4j' / 'password'}")
    click.echo(
        f"2. Ask in Cypher which features are in every trace of a set:\n     {command} cypher {shlex.quote(A_QUERY)}"
    )
    click.echo(
        "3. Trace a prompt of your own:\n"
        f"     {command} submit {shlex.quote(a_new_prompt())} --model atlas --dictionary atlas --set mine --wait\n"
        f"     {command} circuit mine"
    )
    click.echo(f"\nServices and workers keep running; `{command} down` stops them.")


def a_new_prompt() -> str:
    """Returns a prompt that the packaged model understands and that is in no packaged set."""
    from circuitbase.demo import packaged

    with packaged.prompt_sets()["capital-en"].open(encoding="utf-8") as lines:
        known = str(json.loads(next(lines))["prompt"])
    return known.replace("capital", "bird", 1)


def browser_address(settings: Settings) -> str:
    """Returns the address of Neo4j Browser with the login form filled in, all but the password."""
    uri, user, _ = settings.neo4j_connection()
    if not settings.uses_private_services:
        return f"connect to {uri} as {user}"
    bolt = uri.replace("://", f"://{user}@", 1)
    return f"{settings.private_connection['neo4j_http']}/browser/?dbms={bolt}  (user {user})"


def called_as() -> str:
    """Returns how this command was called, so that it can be pasted from the same folder."""
    script = Path(sys.argv[0])
    if script.name == "__main__.py" or not script.exists():
        return f"{shlex.quote(sys.executable)} -m circuitbase"
    on_path = shutil.which(script.name)
    if on_path is not None and Path(on_path).resolve() == script.resolve():
        return script.name
    absolute = script.absolute()
    return shlex.quote(str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute))
