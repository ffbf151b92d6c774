"""`attention`: why one head looks where it looks, by pairs of components, and against another prompt."""

from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.component_prompt import GivenPrompt, prompt_options, token_tensor
from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.errors import InputError

if TYPE_CHECKING:
    from circuitbase.cli.attention_rows import HeadExplanation


@click.command()
@prompt_options
@click.option("--head", required=True, metavar="LAYER/HEAD", help="The head to explain.")
@click.option("--query", type=int, default=-1, show_default=True, help="Position that looks; -1 is the last.")
@click.option("--contrast", metavar="PROMPT2", help="A prompt of as many tokens, to split the change by key.")
@click.option(
    "--keys", type=click.IntRange(min=1), default=3, show_default=True, help="Keys to explain, most attention first."
)
@click.option(
    "--pairs", type=click.IntRange(min=1), default=8, show_default=True, help="Strongest pairs to show for each key."
)
@output_options
def attention(  # one parameter per option
    given: GivenPrompt,
    head: str,
    query: int,
    contrast: str | None,
    keys: int,
    pairs: int,
    output: str | None,
) -> None:
    """Explain where one head looks on PROMPT: scores by pairs of components, and what they are worth in attention.

    A score is a sum over pairs (what wrote at the query's position, what wrote at the key's) and biases. `derivative`
    is a pair's part of the attention weight to first order, `integrated` its part of what lies between the uniform
    pattern and this one. --csv prints every pair of the explained keys, --json one object.

    \b
    Examples:
      circuitbase attention "the capital of Alder is" --model atlas --head 1/3
      circuitbase attention "the capital of Alder is" --model atlas --head 1/0 --contrast "the river of Alder is"
    """
    from circuitbase.cli.trace import shown_stage
    from circuitbase.cli.trace_options import head_of
    from circuitbase.tracing.attention.explained_heads import resolved_heads

    if "@" in head:
        raise InputError(f"--head should be LAYER/HEAD, such as 2/1, got {head!r}; give the position by --query")
    layer, index, _ = head_of(head, option="--head")
    tokenizer = given.tokenizer()
    prompt = given.read(tokenizer)
    other = None if contrast is None else tokenizer.read(contrast, chat=given.chat)
    if other is not None and len(other.token_ids) != len(prompt.token_ids):
        raise InputError(
            f"a contrast prompt must have as many tokens as the prompt, so that positions are the same, but the "
            f"prompt has {len(prompt.token_ids)} and it {len(other.token_ids)}; give one of the same length"
        )
    [(_, _, place)] = resolved_heads([(layer, index, query)], n_positions=len(prompt.token_ids))
    with shown_stage() as stage:
        stage("loading the model")
        from circuitbase.cli.attention_rows import HeadExplanation
        from circuitbase.tracing.attention.component_scores import head_look

        model = given.load()
        stage("explaining")
        looks = [
            head_look(model, token_tensor(each), layer=layer, head=index, query=place)
            for each in (prompt, other)
            if each is not None
        ]
        found = HeadExplanation.of(
            looks, tokens=prompt.token_strings, sources=model.graph.source_names, head=(layer, index), n_keys=keys
        )
    _show(found, output=output, pairs=pairs, contrast=None if other is None else other.token_strings)


def _show(found: "HeadExplanation", *, output: str | None, pairs: int, contrast: tuple[str, ...] | None) -> None:
    keys = found.key_rows()
    changes = [] if contrast is None else found.change_rows(contrast)
    parts = [] if contrast is None else found.part_rows()
    match chosen_format(output):
        case "csv":
            show_rows(found.pair_rows(top=None), output="csv")
        case "json":
            changed: dict[str, Any] = {} if contrast is None else {"score_changes": changes, "attention_changes": parts}
            show_rows(
                [{**found.summary(), "keys": keys, "pairs": found.pair_rows(top=pairs), **changed}], output="json"
            )
        case "table":
            show_rows(keys, output="table", title=f"{found.name} at position {found.look.query}: visible keys")
            show_rows(found.pair_rows(top=pairs), output="table", title="Strongest pairs of components")
            if contrast is not None:
                show_rows(changes, output="table", title="Changes of scores against the contrast prompt")
                show_rows(parts, output="table", title="Changes of attention, by the key whose score changed")
