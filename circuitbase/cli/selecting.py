"""Options that choose traces, by labels of a set or by any Cypher."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from neo4j import Driver, Session

    from circuitbase.queries.selection import Label, Selection


def label_value(text: str) -> "Label":
    """Returns the value that a label on the command line stands for: true, false, a number, or the text."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float | str) else text


def wanted_labels(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> "dict[str, Label]":
    """Returns LABEL=VALUE pairs; raises BadParameter for another text."""
    found = {}
    for value in values:
        name, separator, text = value.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"should be LABEL=VALUE, such as language=fr, got {value!r}")
        found[name] = label_value(text)
    return found


def two_values(ctx: click.Context, parameter: click.Parameter, value: str | None) -> "tuple[str, Label, Label] | None":
    """Returns (label, value, value) of LABEL=VALUE,VALUE; raises BadParameter for another text."""
    if value is None:
        return None
    name, separator, text = value.partition("=")
    values = text.split(",")
    if not separator or not name or len(values) != 2 or values[0] == values[1]:
        raise click.BadParameter(f"should be LABEL=VALUE,VALUE, such as language=en,fr, got {value!r}")
    return name, label_value(values[0]), label_value(values[1])


def selecting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --where, --by-role and --most-traces."""
    for option in (
        click.option(
            "--most-traces",
            default=5_000,
            show_default=True,
            type=click.IntRange(min=1),
            help="Most traces to read one by one, where the sums of a set do not answer.",
        ),
        click.option(
            "--by-role",
            is_flag=True,
            help="Tell units apart by the role of their position (`spans` of the prompt file); tokens become roles.",
        ),
        click.option(
            "--where",
            "labels",
            multiple=True,
            metavar="LABEL=VALUE",
            callback=wanted_labels,
            help="Only traces whose prompts have this label; can be repeated.",
        ),
    ):
        command = option(command)
    return command


def selection_of(
    driver: "Driver",
    session: "Session",
    place: str | None,
    *,
    cypher: str | None,
    configuration: str | None,
    labels: "dict[str, Label]",
    database: str,
) -> "Selection":
    """Returns the traces of a set, or of a Cypher, that have some labels."""
    from circuitbase.queries.rollup_choice import choose_rollup
    from circuitbase.queries.selection import labelled, selected_by_cypher, whole_set

    if cypher is not None:
        found = selected_by_cypher(driver, cypher, database=database, configuration=configuration)
    else:
        assert place is not None
        found = whole_set(session, choose_rollup(session, place, configuration=configuration))
    return labelled(found, **labels) if labels else found
