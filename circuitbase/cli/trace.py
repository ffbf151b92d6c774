"""`trace`: one prompt, here and now, without a queue."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import click

from circuitbase.cli.models import resolve_dictionary, resolve_model
from circuitbase.cli.output import cell, chosen_format, output_options, show_rows
from circuitbase.errors import InputError

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace
    from circuitbase.tracing.options import DType, RoleTarget
    from circuitbase.tracing.tokenizing import PromptTokenizer


@click.command()
@click.argument("prompt", required=False)
@click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one.")
@click.option("--dictionary", required=True, help="Dictionary: a folder, a hub id, or the name of a packaged model.")
@click.option("--tokens", metavar="IDS", help="Token ids by commas, in place of PROMPT.")
@click.option(
    "--target",
    type=click.Choice(("probable", "roles")),
    help="Where the trace ends: in the most probable tokens, or in the logit of the answer minus that of the "
    "distractor (minus the mean logit without one). roles if there is an answer, else probable.",
)
@click.option("--answer", metavar="TOKEN", help="The right next token, as text.")
@click.option("--distractor", metavar="TOKEN", help="The token to compare the answer with, as text.")
@click.option("--full", is_flag=True, help="Keep every node and edge instead of pruning.")
@click.option("--dtype", type=click.Choice(("float32", "float64")), default="float32", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1.")
@click.option("--out", metavar="FILE", help="Write the trace file here (a path or an fsspec URL).")
@click.option("--store", is_flag=True, help="Put the trace file into the store and the trace into Neo4j.")
@click.option(
    "--top", type=click.IntRange(min=0), default=10, show_default=True, help="Strongest nodes, edges to show."
)
@click.option("--any-model-name", is_flag=True, help="Take a dictionary whose config.yaml names another model.")
@output_options
def trace(  # noqa: PLR0913  # one parameter per option
    prompt: str | None,
    model: str,
    dictionary: str,
    tokens: str | None,
    target: Literal["probable", "roles"] | None,
    answer: str | None,
    distractor: str | None,
    full: bool,
    dtype: "DType",
    device: str,
    out: str | None,
    store: bool,
    top: int,
    any_model_name: bool,
    output: str | None,
) -> None:
    """Trace one PROMPT and print what drives the next token.

    Nothing is kept unless --out or --store is given. --csv prints every edge, --json one object.

    \b
    Examples:
      circuitbase trace "the capital of Alder is" --model atlas --dictionary atlas
      circuitbase trace --tokens 0,3,4 --model ./gpt2 --dictionary ./transcoders --full --out trace.safetensors
    """
    from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
    from circuitbase.tracing.options import TraceOptions
    from circuitbase.tracing.targets import check_targets
    from circuitbase.tracing.tokenizing import PromptTokenizer

    subject = prompt_or_tokens(prompt, tokens)
    model_place, dictionary_place = resolve_model(model), resolve_dictionary(dictionary)
    # everything that can be refused is, before torch is imported
    identity = read_model_identity(model_place)
    read_dictionary_identity(dictionary_place, model=identity, any_model_name=any_model_name)
    tokenizer = PromptTokenizer(model_place)
    read = tokenizer.read(subject)
    roles = asked_roles(tokenizer, target=target, answer=answer, distractor=distractor)
    options = TraceOptions(target="roles" if roles else target or "probable", prune=not full, dtype=dtype)
    check_targets(roles, kind=options.target, model=identity)

    with shown_stage() as stage:
        stage("loading torch")
        import torch

        from circuitbase.tracing.attribution import trace as traced
        from circuitbase.tracing.dictionaries import load_dictionary
        from circuitbase.tracing.models import load_model

        torch.set_num_threads(1)  # as in a worker: sums in another order would give the file other bytes
        stage("loading the model")
        loaded = load_model(model_place, dtype=dtype, device=device)
        stage("loading the dictionary")
        features = load_dictionary(
            dictionary_place, model=loaded, dtype=dtype, device=device, any_model_name=any_model_name
        )
        stage("tracing")
        found = traced(loaded, features, read, options, roles=roles)
        stage("writing")
        kept = keep(found, out=out, store=store)
    for sentence in (*found.metadata.warnings, *kept):
        click.echo(sentence, err=True)
    show(found, output=output, top=top)


def prompt_or_tokens(prompt: str | None, tokens: str | None) -> str | list[int]:
    """Returns the text or the token ids to trace; raises InputError unless exactly one is given and readable."""
    if (prompt is None) == (tokens is None):
        raise InputError(f"give either PROMPT or --tokens, got {'neither' if prompt is None else 'both'}")
    if prompt is not None:
        return prompt
    try:
        return [int(token) for token in (tokens or "").split(",") if token.strip()]
    except ValueError as error:
        raise InputError(f"--tokens should be token ids by commas, such as 0,3,4, got {tokens!r}") from error


def asked_roles(
    tokenizer: "PromptTokenizer",
    *,
    target: Literal["probable", "roles"] | None,
    answer: str | None,
    distractor: str | None,
) -> "tuple[RoleTarget, ...]":
    """Returns the role output that answer and distractor make; raises InputError where they do not fit together."""
    from circuitbase.tracing.options import RoleTarget

    if answer is None:
        if distractor is not None or target == "roles":
            given = "--distractor" if distractor is not None else "--target roles"
            raise InputError(f"{given} needs --answer, the token to explain; give it")
        return ()
    if target == "probable":
        raise InputError("--answer has no part in a trace of the probable tokens; leave it out, or give --target roles")
    if distractor is None:
        return (RoleTarget(role="answer", token=tokenizer.one_token(answer)),)
    return (
        RoleTarget(role="answer-distractor", token=tokenizer.one_token(answer), minus=tokenizer.one_token(distractor)),
    )


def keep(found: "Trace", *, out: str | None, store: bool) -> list[str]:
    """Writes the trace where it was asked to be kept and returns sentences about it."""
    from circuitbase.store.trace_file import to_bytes
    from circuitbase.store.trace_store import TraceStore, write_bytes

    said = []
    if out is not None:
        said.append(f"wrote {write_bytes(to_bytes(found), out)}")
    if store:
        from circuitbase.ingest.connection import open_driver
        from circuitbase.ingest.trace_writer import store_trace
        from circuitbase.settings import load_settings

        settings = load_settings()
        with open_driver(settings) as driver:
            said.append(f"wrote {TraceStore(settings.store_url).save(found)}")
            stored = store_trace(driver, found, database=settings.neo4j_database)
        said.append(f"trace {stored.trace_id[:12]} {'is now in Neo4j' if stored.stored else 'was in Neo4j already'}")
    return said


def show(found: "Trace", *, output: str | None, top: int) -> None:
    """Prints a trace: its summary and strongest parts, or every edge as CSV."""
    from circuitbase.cli.trace_rows import (
        EDGE_COLUMNS,
        NODE_COLUMNS,
        compact,
        edge_rows,
        node_rows,
        output_rows,
        summary_row,
    )

    summary, outputs = summary_row(found), output_rows(found)
    match chosen_format(output):
        case "csv":
            show_rows(edge_rows(found, top=None), output="csv", columns=EDGE_COLUMNS)
        case "json":
            strongest = {"strongest_nodes": node_rows(found, top=top), "strongest_edges": edge_rows(found, top=top)}
            show_rows([{**summary, "outputs": outputs, **strongest}], output="json")
        case "table":
            for name, value in summary.items():
                if value is not None:
                    click.echo(f"{name.replace('_', ' '):<25} {' '.join(value) if name == 'tokens' else cell(value)}")
            show_rows(outputs, output="table", title="Outputs")
            show_rows(node_rows(found, top=top), output="table", title="Strongest nodes", columns=NODE_COLUMNS)
            show_rows(compact(edge_rows(found, top=top)), output="table", title="Strongest edges")


@contextmanager
def shown_stage() -> Iterator[Callable[[str], None]]:
    """Yields a callback that says on a terminal's standard error what is under way."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("") as status:
        yield status.update
