"""`trace`: one prompt, here and now, without a queue."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from circuitbase.cli.models import resolve_dictionary, resolve_model
from circuitbase.cli.output import output_options
from circuitbase.cli.trace_options import check_limits, trace_options
from circuitbase.cli.trace_output import show
from circuitbase.cli.trace_targets import GivenTargets, asked_targets, target_options
from circuitbase.errors import InputError

if TYPE_CHECKING:
    from circuitbase.graph.trace import Trace
    from circuitbase.tracing.components.component_options import ComponentOptions
    from circuitbase.tracing.options import TraceOptions


@click.command()
@click.argument("prompt", required=False)
@click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one.")
@click.option("--dictionary", help="Dictionary: a folder, a hub id, or the name of a packaged model.")
@click.option("--tokens", metavar="IDS", help="Token ids by commas, in place of PROMPT.")
@click.option("--chat", is_flag=True, help="PROMPT is one user's message; the model's chat template is put around it.")
@target_options
@trace_options
@click.option("--device", help="cpu, cuda, cuda:1.  [default: cpu]")
@click.option(
    "--device-map", type=click.Choice(("auto", "balanced", "sequential")), help="Spread the model over all GPUs."
)
@click.option("--allow-pickle", is_flag=True, help="Read weights from pytorch_model.bin where safetensors are missing.")
@click.option("--any-model-name", is_flag=True, help="Take a dictionary that names another model.")
@click.option("--out", metavar="FILE", help="Write the trace file here (a path or an fsspec URL).")
@click.option("--store", is_flag=True, help="Put the trace file into the store and the trace into Neo4j.")
@click.option(
    "--top", type=click.IntRange(min=0), default=10, show_default=True, help="Strongest nodes, edges to show."
)
@output_options
def trace(  # noqa: PLR0913  # one parameter per option
    prompt: str | None,
    model: str,
    dictionary: str | None,
    tokens: str | None,
    chat: bool,
    asked: GivenTargets,
    options: "TraceOptions | ComponentOptions",
    device: str | None,
    device_map: str | None,
    allow_pickle: bool,
    any_model_name: bool,
    out: str | None,
    store: bool,
    top: int,
    output: str | None,
) -> None:
    """Trace one PROMPT and print what drives the next token.

    Nothing is kept unless --out or --store is given. --csv prints every edge, --json one object.

    \b
    Examples:
      circuitbase trace "the capital of Alder is" --model atlas --dictionary atlas
      circuitbase trace --tokens 0,3,4 --model ./gpt2 --dictionary ./transcoders --full --out trace.safetensors
      circuitbase trace "the capital of Alder is" --model atlas --dictionary atlas --feature 2/115@-1 --heads
      circuitbase trace "the capital of Alder is" --model atlas --dictionary atlas --explain-attention 2/1
      circuitbase trace "the capital of Alder is" --model atlas --kind components --neurons 10
    """
    from dataclasses import replace

    from circuitbase.tracing.attention.explained_heads import check_heads_of, resolved_heads
    from circuitbase.tracing.components.component_options import ComponentOptions
    from circuitbase.tracing.components.component_request import component_prompt
    from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
    from circuitbase.tracing.named_features import check_features
    from circuitbase.tracing.options import TraceOptions
    from circuitbase.tracing.targets import FeatureTarget, check_targets
    from circuitbase.tracing.tokenizing import PromptTokenizer

    # everything that can be refused is, before torch is imported
    subject = prompt_or_tokens(prompt, tokens, chat=chat)
    check_limits(asked.kind)
    check_kind(options, dictionary=dictionary, any_model_name=any_model_name)
    if options.kind == ComponentOptions.kind and asked.kind == "features":
        raise InputError("a trace of components has no features to end in; leave out --feature or give --kind features")
    if options.kind == ComponentOptions.kind and device_map is not None:
        raise InputError("a trace of components is made on one device; leave out --device-map, or give --device")
    check_device(device, device_map=device_map, tf32=isinstance(options, TraceOptions) and options.tf32)
    model_place = resolve_model(model)
    dictionary_place = None if dictionary is None else resolve_dictionary(dictionary)
    model_identity = read_model_identity(model_place, allow_pickle=allow_pickle)
    tokenizer = PromptTokenizer(model_place)
    read = tokenizer.read(subject, chat=chat)
    targets = asked_targets(asked, tokenizer=tokenizer, prompt=read)
    options = replace(options, target=asked.kind)  # type: ignore[arg-type]  # the one it cannot have was refused
    check_targets(targets, kind=options.target, model=model_identity)
    if isinstance(options, TraceOptions) and dictionary_place is not None:
        dictionary_identity = read_dictionary_identity(
            dictionary_place, model=model_identity, any_model_name=any_model_name
        )
        named = [(target.layer, target.feature) for target in targets if isinstance(target, FeatureTarget)]
        check_features([*options.silent, *named], model=model_identity, dictionary=dictionary_identity)
        check_heads_of(options.explain_attention, model=model_place, allow_pickle=allow_pickle)
        resolved_heads(options.explain_attention, n_positions=len(read.token_ids))
    else:
        component_prompt(read)

    with shown_stage() as stage:
        stage("loading torch")
        import torch

        from circuitbase.tracing.attribution import trace as traced
        from circuitbase.tracing.components.component_trace import trace_components
        from circuitbase.tracing.dictionaries import load_dictionary
        from circuitbase.tracing.models import load_model

        torch.set_num_threads(1)  # as in a worker: sums in another order would give the file other bytes
        stage("loading the model")
        loaded = load_model(
            model_place,
            dtype=options.dtype,
            device=device or "cpu",
            device_map=device_map,
            allow_pickle=allow_pickle,
        )
        if isinstance(options, TraceOptions) and dictionary_place is not None:
            stage("loading the dictionary")
            features = load_dictionary(
                dictionary_place,
                model=loaded,
                dtype=options.dtype,
                device=loaded.device,
                any_model_name=any_model_name,
            )
            stage("tracing")
            found = traced(loaded, features, read, options, roles=targets, threads=os.cpu_count())
        elif isinstance(options, ComponentOptions):
            stage("tracing")
            found = trace_components(loaded, read, options, roles=targets)
        stage("writing")
        kept = keep(found, out=out, store=store)
    for sentence in (*found.metadata.warnings, *kept):
        click.echo(sentence, err=True)
    show(found, output=output, top=top)


def prompt_or_tokens(prompt: str | None, tokens: str | None, *, chat: bool) -> str | list[int]:
    """Returns the text or the token ids to trace; raises InputError unless exactly one is given and readable."""
    if (prompt is None) == (tokens is None):
        raise InputError(f"give either PROMPT or --tokens, got {'neither' if prompt is None else 'both'}")
    if prompt is not None:
        return prompt
    if chat:
        raise InputError("--chat puts a template around PROMPT, and --tokens are traced as they are; leave out one")
    try:
        return [int(token) for token in (tokens or "").split(",") if token.strip()]
    except ValueError as error:
        raise InputError(f"--tokens should be token ids by commas, such as 0,3,4, got {tokens!r}") from error


def check_kind(options: "TraceOptions | ComponentOptions", *, dictionary: str | None, any_model_name: bool) -> None:
    """Raises a usage error unless a trace of features, and no other, is given a dictionary."""
    if options.kind == "features" and dictionary is None:
        raise click.UsageError("a trace of features needs --dictionary; give one, or --kind components for the heads")
    given = {"--dictionary": dictionary is not None, "--any-model-name": any_model_name}
    for option in given:
        if options.kind == "components" and given[option]:
            raise InputError(f"{option} has no part in a trace of components, which needs no dictionary; leave it out")


def check_device(device: str | None, *, device_map: str | None, tf32: bool) -> None:
    """Raises InputError where the options that say where to compute do not go together."""
    if device is not None and device_map is not None:
        raise InputError("--device is one device and --device-map spreads the model over several; leave out one")
    if tf32 and device_map is None and device in (None, "cpu"):
        raise InputError("--tf32 is for a GPU, and this trace is made on the CPU; leave it out, or give --device cuda")


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


@contextmanager
def shown_stage() -> Iterator[Callable[[str], None]]:
    """Yields a callback that says on a terminal's standard error what is under way."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("") as status:
        yield status.update
