"""`supernodes`: units that play one role, grouped; its subcommands say what a person knows better."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from circuitbase.cli.output import output_options
from circuitbase.cli.reading import reading_session
from circuitbase.cli.reading_bar import reading_bar
from circuitbase.cli.supernode_rows import show_supernodes
from circuitbase.settings import load_settings

if TYPE_CHECKING:
    from neo4j import Session

    from circuitbase.graph.supernode_edits import SupernodeEdit
    from circuitbase.queries.rollup_choice import ChosenRollup
    from circuitbase.queries.supernode_storing import StoredSupernode

    Said = Callable[[Session, ChosenRollup, Sequence[StoredSupernode]], SupernodeEdit]

DEFAULT = "find"
configuration_option = click.option(
    "--configuration", help="Beginning of a configuration's name or id, where the set has several."
)


class _WithDefault(click.Group):
    """A group that takes what names none of its commands as the arguments of one of them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the default command before arguments that begin with no other."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group(cls=_WithDefault)
def supernodes() -> None:
    """Group the units of SET that play one role, as in `circuitbase supernodes SET --store`.

    Without a command, `find` is meant. Edits are by name: a supernode's, the first digits of its id, or the name of a
    unit that is in it; they hold in every later grouping, and the set is grouped and stored anew at once.

    \b
    Examples:
      circuitbase supernodes capital-en --threshold 0.9 --store
      circuitbase supernodes name capital-en 'L02/F00055 +2' 'say a capital'
      circuitbase circuit capital-en --supernodes
    """


@supernodes.command(DEFAULT)
@click.argument("prompt_set", metavar="SET")
@click.option("--threshold", default=0.8, show_default=True, help="Least likeness of any two members, above 0 to 1.")
@click.option(
    "--min-presence", default=0.1, show_default=True, help="Smallest fraction of the traces that hold a member."
)
@click.option("--store", "keep", is_flag=True, help="Keep them in Neo4j, in place of those that the set had.")
@click.option("--pairs", is_flag=True, help="Show the evidence for every two members.")
@configuration_option
@output_options
def find(
    prompt_set: str,
    threshold: float,
    min_presence: float,
    keep: bool,
    pairs: bool,
    configuration: str | None,
    output: str | None,
) -> None:
    """Group the units of SET whose signed shares in and out are alike over its traces.

    Every two members are at least as alike as the threshold, unless a person put them together. Two that occur in the
    same traces are duplicates, two that stand for each other alternatives.

    \b
    Examples:
      circuitbase supernodes capital-en
      circuitbase supernodes find capital-en --threshold 0.9 --pairs --store
    """
    from circuitbase.queries.rollup_choice import choose_rollup
    from circuitbase.queries.supernode_storing import store_supernodes, stored_edits
    from circuitbase.queries.supernodes import SupernodeOptions, supernodes_of
    from circuitbase.queries.token_labels import peak_token_labels

    settings = load_settings()
    options = SupernodeOptions(threshold=threshold, min_presence=min_presence)
    with reading_session(settings, prompt_set) as (driver, session), reading_bar() as progress:
        chosen = choose_rollup(session, prompt_set, configuration=configuration)
        edits = stored_edits(session, chosen)
        found = supernodes_of(session, chosen, options=options, edits=edits, progress=progress)
        labels = peak_token_labels(session, list(found.names), tokens=1)
        if keep:
            store_supernodes(driver, found, database=settings.neo4j_database)
    show_supernodes(found, labels, pairs=pairs, output=output)
    if keep:
        click.echo(f"Stored {len(found.grouping.supernodes)} supernodes of {prompt_set}.", err=True)


@supernodes.command()
@click.argument("prompt_set", metavar="SET")
@click.argument("group", metavar="SUPERNODE")
@configuration_option
@output_options
def pin(prompt_set: str, group: str, configuration: str | None, output: str | None) -> None:
    """Fix the members of SUPERNODE: no later grouping adds or takes one.

    \b
    Example:
      circuitbase supernodes pin capital-en 'L02/F00055 +2'
    """
    from circuitbase.queries import supernode_editing

    _say(
        prompt_set,
        lambda session, chosen, stored: supernode_editing.pin(session, chosen, stored, group),
        configuration=configuration,
        output=output,
    )


@supernodes.command()
@click.argument("prompt_set", metavar="SET")
@click.argument("groups", metavar="SUPERNODE...", nargs=-1, required=True)
@configuration_option
@output_options
def merge(prompt_set: str, groups: tuple[str, ...], configuration: str | None, output: str | None) -> None:
    """Put supernodes, or single units, together.

    \b
    Example:
      circuitbase supernodes merge capital-en 'L02/F00055 +2' L01/F00238
    """
    from circuitbase.queries import supernode_editing

    _say(
        prompt_set,
        lambda session, chosen, stored: supernode_editing.merge(session, chosen, stored, groups),
        configuration=configuration,
        output=output,
    )


@supernodes.command()
@click.argument("prompt_set", metavar="SET")
@click.argument("group", metavar="SUPERNODE")
@click.argument("units", metavar="UNIT...", nargs=-1, required=True)
@configuration_option
@output_options
def split(prompt_set: str, group: str, units: tuple[str, ...], configuration: str | None, output: str | None) -> None:
    """Keep the UNITs apart from the other members of SUPERNODE.

    \b
    Example:
      circuitbase supernodes split capital-en 'L02/F00055 +2' L02/F00272
    """
    from circuitbase.queries import supernode_editing

    _say(
        prompt_set,
        lambda session, chosen, stored: supernode_editing.split(session, chosen, stored, group, units),
        configuration=configuration,
        output=output,
    )


@supernodes.command()
@click.argument("prompt_set", metavar="SET")
@click.argument("group", metavar="SUPERNODE")
@click.argument("called", metavar="NAME")
@configuration_option
@output_options
def name(prompt_set: str, group: str, called: str, configuration: str | None, output: str | None) -> None:
    """Call SUPERNODE by a NAME, which stays with most of its members.

    \b
    Example:
      circuitbase supernodes name capital-en 'L02/F00055 +2' 'say a capital'
    """
    from circuitbase.queries import supernode_editing

    _say(
        prompt_set,
        lambda session, chosen, stored: supernode_editing.name(session, chosen, stored, group, called),
        configuration=configuration,
        output=output,
    )


def _say(prompt_set: str, said: "Said", *, configuration: str | None, output: str | None) -> None:
    """Keeps an edit, groups the set anew as it was grouped before, stores that and shows it."""
    from circuitbase.queries.rollup_choice import choose_rollup
    from circuitbase.queries.supernode_storing import add_edits, store_supernodes, stored_edits, stored_supernodes
    from circuitbase.queries.supernodes import SupernodeOptions, supernodes_of
    from circuitbase.queries.token_labels import peak_token_labels

    settings = load_settings()
    with reading_session(settings, prompt_set) as (driver, session), reading_bar() as progress:
        chosen = choose_rollup(session, prompt_set, configuration=configuration)
        stored = stored_supernodes(session, chosen)
        edit = said(session, chosen, stored)
        options = stored[0].options if stored else SupernodeOptions()
        edits = [*stored_edits(session, chosen), edit]
        found = supernodes_of(session, chosen, options=options, edits=edits, progress=progress)
        add_edits(driver, chosen, [edit], database=settings.neo4j_database)
        store_supernodes(driver, found, database=settings.neo4j_database)
        labels = peak_token_labels(session, list(found.names), tokens=1)
    show_supernodes(found, labels, pairs=False, output=output)
    click.echo(f"Kept, and stored {len(found.grouping.supernodes)} supernodes of {prompt_set}.", err=True)
