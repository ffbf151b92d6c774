"""`lens`: first looks at a prompt, without a dictionary."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from circuitbase.cli.component_prompt import GivenPrompt, prompt_options, token_tensor
from circuitbase.cli.output import output_options
from circuitbase.errors import InputError

if TYPE_CHECKING:
    from circuitbase.cli.lens_views import View
    from circuitbase.graph.trace import TracedPrompt
    from circuitbase.tracing.tokenizing import PromptTokenizer

TOP = {"logit_lens": 1, "attribution": 15, "patterns": 3}


@click.command()
@prompt_options
@click.option("--logit-lens", is_flag=True, help="What the model would say if it ended before each block (default).")
@click.option("--attribution", is_flag=True, help="What each component's write adds to a logit, the norm held.")
@click.option(
    "--patterns",
    multiple=True,
    metavar="LAYER/HEAD",
    help="Where this head looks from each position. May be repeated.",
)
@click.option("--answer", metavar="TOKEN", help="Token whose logit is attributed.  [default: the most probable]")
@click.option("--distractor", metavar="TOKEN", help="Subtract the logit of this token, instead of the mean logit.")
@click.option("--position", type=int, default=-1, show_default=True, help="Position whose logit is attributed.")
@click.option("--by-position", is_flag=True, help="Split what heads add by the position whose values they moved.")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    help="Tokens of the lens at each place (default 1), strongest effects (15), keys of each query (3).",
)
@click.option("--plot", metavar="FILE", help="Write a picture of it here, as PNG.")
@output_options
def lens(  # noqa: PLR0913  # one parameter per option
    given: GivenPrompt,
    logit_lens: bool,
    attribution: bool,
    patterns: tuple[str, ...],
    answer: str | None,
    distractor: str | None,
    position: int,
    by_position: bool,
    top: int | None,
    plot: str | None,
    output: str | None,
) -> None:
    """Look at one PROMPT: the logit lens, direct logit attribution or attention patterns.

    \b
    Examples:
      circuitbase lens "the capital of Alder is" --model atlas
      circuitbase lens "the capital of Alder is" --model atlas --attribution --by-position --plot who.png
      circuitbase lens "the capital of Alder is" --model atlas --patterns 1/0 --patterns 1/3 --plot heads.png
    """
    asked = [
        name
        for name, given_ in (("logit_lens", logit_lens), ("attribution", attribution), ("patterns", bool(patterns)))
        if given_
    ]
    if len(asked) > 1:
        options = " and ".join(f"--{name.replace('_', '-')}" for name in asked)
        raise InputError(f"one look is shown at a time, got {options}; call it once for each")
    view = asked[0] if asked else "logit_lens"
    _check_parts(view)
    count = top or TOP[view]
    tokenizer = given.tokenizer()
    prompt = given.read(tokenizer)
    tokens = tuple(None if text is None else tokenizer.one_token(text) for text in (answer, distractor))
    heads = [_head(text) for text in patterns]

    from circuitbase.cli.trace import shown_stage

    with shown_stage() as stage:
        stage("loading the model")
        found = _view(
            view, given, prompt, tokenizer, tokens=tokens, heads=heads, position=position, split=by_position, top=count
        )
    if plot is not None:
        Path(plot).write_bytes(found.png())
        click.echo(f"wrote {plot}", err=True)
    found.show(output)


def _view(  # what the options said
    view: str,
    given: GivenPrompt,
    prompt: "TracedPrompt",
    tokenizer: "PromptTokenizer",
    *,
    tokens: tuple[int | None, ...],
    heads: list[tuple[int, int]],
    position: int,
    split: bool,
    top: int,
) -> "View":
    from circuitbase.cli.lens_views import AttributionView, LogitLensView, PatternsView
    from circuitbase.tracing.lens.attention_pattern import attention_patterns
    from circuitbase.tracing.lens.logit_attribution import logit_attribution
    from circuitbase.tracing.lens.logit_lens import logit_lens

    model, ids, strings = given.load(), token_tensor(prompt), prompt.token_strings
    match view:
        case "attribution":
            answer, distractor = tokens
            if answer is None:
                place = position if -len(ids) <= position < len(ids) else -1
                answer = int(logit_lens(model, ids).token[-1, place, 0])
            found = logit_attribution(model, ids, answer=answer, distractor=distractor, position=position)
            names = [None if token is None else tokenizer.token_string(token) for token in (answer, distractor)]
            return AttributionView(strings, found, str(names[0]), names[1], position % len(ids), split=split, top=top)
        case "patterns":
            return PatternsView(strings, heads, attention_patterns(model, ids, heads), top=top)
    return LogitLensView(strings, logit_lens(model, ids, top=top), tokenizer)


def _check_parts(view: str) -> None:
    """Raises InputError for an option that has no part in the view."""
    context = click.get_current_context()
    for name in ("answer", "distractor", "position", "by_position"):
        if view != "attribution" and context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"--{name.replace('_', '-')} is for --attribution; give that too, or leave it out")


def _head(text: str) -> tuple[int, int]:
    from circuitbase.cli.trace_options import head_of

    if "@" in text:
        raise InputError(f"--patterns shows every query position, got {text!r}; leave out the position")
    layer, head, _ = head_of(text, option="--patterns")
    return layer, head
