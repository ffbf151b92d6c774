"""`heads`: what each attention head of a model does."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.head_role_options import head_role_options
from circuitbase.cli.models import resolve_model
from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.errors import InputError
from circuitbase.schema.kinds import NodeKind
from circuitbase.schema.unit_names import unit_name
from circuitbase.tracing.dtypes import DTYPE_NAMES
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.roles import HeadRoles, Role

if TYPE_CHECKING:
    from circuitbase.graph.trace import ModelIdentity
    from circuitbase.tracing.dtypes import DType
    from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt
    from circuitbase.tracing.tokenizing import PromptTokenizer

ON_PROMPTS = (Role.NAME_MOVER, Role.S_INHIBITION)
# what fits a terminal beside the roles
_BRIEF = {
    Role.PREVIOUS_TOKEN: "prev",
    Role.DUPLICATE_TOKEN: "dup",
    Role.INDUCTION: "ind",
    Role.COPYING: "copy",
    Role.NAME_MOVER: "mover",
    Role.S_INHIBITION: "S-inh",
    Role.SUCCESSOR: "succ",
    Role.POSITIONAL: "pos",
}


@click.command()
@click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one.")
@click.option("--prompts", metavar="FILE", help="Prompts with answer and distractor, for name movers and S-inhibition.")
@click.option("--pairs", metavar="FILE", help="The same as pairs of a clean and a corrupted prompt (JSON).")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Show this role alone, the best first.")
@click.option(
    "--random-tokens",
    type=click.Choice(("vocabulary", "prompts")),
    default="vocabulary",
    show_default=True,
    help="Draw random tokens from the vocabulary, or from the tokens of prompts and pairs alone.",
)
@head_role_options
@click.option("--dtype", type=click.Choice(DTYPE_NAMES), default="float32", show_default=True, help="Of the weights.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1.")
@click.option("--store", is_flag=True, help="Put scores, roles and evidence on the heads' units in Neo4j.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw heat maps into this PNG file.")
@output_options
def heads(  # noqa: PLR0913  # one parameter per option
    model: str,
    prompts: str | None,
    pairs: str | None,
    role: str | None,
    random_tokens: str,
    options: HeadRoleOptions,
    dtype: "DType",
    device: str,
    store: bool,
    plot: Path | None,
    output: str | None,
) -> None:
    """Say what each attention head does: its score for every role, and the roles it has.

    docs/components.md defines the scores. Name movers and S-inhibition are measured on --prompts or --pairs only. A
    head has a role if its score is above the role's bound.

    \b
    Examples:
      circuitbase heads --model atlas
      circuitbase heads --model atlas --prompts names.jsonl --plot heads.png --store
      circuitbase heads --model ./gpt2 --role induction --bound induction=0.5
    """
    chosen = None if role is None else Role(role)
    if chosen in ON_PROMPTS and not (prompts or pairs):
        raise InputError(f"{chosen.value} is measured on prompts with an answer; give --prompts or --pairs")
    if random_tokens == "prompts" and not (prompts or pairs):
        raise InputError("--random-tokens prompts draws from their tokens; give --prompts or --pairs")
    place = resolve_model(model)
    given = given_prompts(place, prompts=prompts, pairs=pairs)

    import torch

    from circuitbase.tracing.head_roles.of_model import model_head_roles
    from circuitbase.tracing.models import load_model

    torch.set_num_threads(1)  # sums in another order would store other last digits
    loaded = load_model(place, dtype=dtype, device=device)
    found = model_head_roles(loaded, prompts=given, draw_from_prompts=random_tokens == "prompts", options=options)
    shown = [each for each in Role if each in found.scores]
    for each in shown:
        why = found.scores[each].measured_on.get("not_measured")
        if why is not None:
            click.echo(f"{each.value} was not measured: {why}", err=True)
    if plot is not None:
        write_plot(found, plot, title=f"Heads of {loaded.identity.name}", role=chosen)
        click.echo(f"Drawn: {plot}", err=True)
    if store:
        click.echo(stored(found, loaded.identity), err=True)
    if chosen is not None:
        show_rows(role_rows(found, chosen), output=output)
    else:
        show_rows(head_rows(found, brief=chosen_format(output) == "table"), output=output)


def given_prompts(model: str, *, prompts: str | None, pairs: str | None) -> list["AnswerPrompt"]:
    """Returns the prompts of both files; raises InputError for ones that cannot be used."""
    if prompts is None and pairs is None:
        return []
    from circuitbase.tracing.tokenizing import PromptTokenizer

    tokenizer = PromptTokenizer(model)
    return [
        *([] if prompts is None else _of_prompts(prompts, tokenizer)),
        *([] if pairs is None else _of_pairs(pairs, tokenizer)),
    ]


def _of_prompts(source: str, tokenizer: "PromptTokenizer") -> list["AnswerPrompt"]:
    from circuitbase.store.prompt_file import read_prompts
    from circuitbase.tracing.head_roles.model_tokens import answer_prompts

    return answer_prompts(read_prompts(source, standard_input=sys.stdin.buffer), tokenizer, source=source)


def _of_pairs(path: str, tokenizer: "PromptTokenizer") -> list["AnswerPrompt"]:
    from circuitbase.tracing.components.pair_file import read_pairs
    from circuitbase.tracing.head_roles.of_model import prompts_of_pairs

    return prompts_of_pairs(read_pairs(path, tokenizer))


def head_rows(found: HeadRoles, *, brief: bool) -> list[dict[str, Any]]:
    """Returns a row for each head: its scores and its roles; `brief` ones fit a terminal."""
    n_layers, n_heads = found.shape
    return [_head_row(found, layer, head, brief=brief) for layer in range(n_layers) for head in range(n_heads)]


def _head_row(found: HeadRoles, layer: int, head: int, *, brief: bool) -> dict[str, Any]:
    scores = {role: found.score(role, layer=layer, head=head) for role in Role if role in found.scores}
    roles = [role.value for role in found.roles(layer=layer, head=head)]
    name = f"a{layer}.h{head}"
    if brief:
        shown = {_BRIEF[role]: _rounded(score) for role, score in scores.items()}
        return {"head": name, **shown, "roles": ", ".join(roles)}
    unit = unit_name(NodeKind.HEAD, layer=layer, index=head, text=None)
    return {"head": name, "unit": unit, **{role.value: score for role, score in scores.items()}, "roles": roles}


def role_rows(found: HeadRoles, role: Role) -> list[dict[str, Any]]:
    """Returns a row for each head that has a score for one role, the highest first, with what it rests on."""
    n_layers, n_heads = found.shape
    places = [(layer, head) for layer in range(n_layers) for head in range(n_heads)]
    rows = [
        {
            "head": f"a{layer}.h{head}",
            "score": found.score(role, layer=layer, head=head),
            "above_bound": role in found.roles(layer=layer, head=head),
            **{name: float(values[layer, head]) for name, values in found.scores[role].parts.items()},
        }
        for layer, head in places
        if found.score(role, layer=layer, head=head) is not None
    ]
    return sorted(rows, key=lambda row: -row["score"])


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 3) + 0.0  # + 0.0: no minus before a zero


def write_plot(found: HeadRoles, path: Path, *, title: str, role: Role | None) -> None:
    """Writes the heat maps of all roles, or of one; raises StoreError if the file cannot be written."""
    from circuitbase.pages.head_role_plot import head_role_png
    from circuitbase.store.trace_store import write_bytes

    write_bytes(head_role_png(found, title=title, roles=tuple(Role) if role is None else (role,)), str(path))


def stored(found: HeadRoles, model: "ModelIdentity") -> str:
    """Puts the scores into Neo4j and returns a sentence about it."""
    from circuitbase.ingest.connection import open_driver
    from circuitbase.ingest.head_roles import store_head_roles
    from circuitbase.settings import load_settings

    settings = load_settings()
    with open_driver(settings) as driver:
        done = store_head_roles(driver, model, found, database=settings.neo4j_database)
    return f"the roles of {done.heads} heads of {model.id} are now in Neo4j"
