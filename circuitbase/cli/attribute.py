"""`attribute`: every edge between a model's components scored on pairs of prompts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.edge_score_rows import show_scores
from circuitbase.cli.models import resolve_model
from circuitbase.cli.output import output_options
from circuitbase.cli.trace import shown_stage
from circuitbase.errors import InputError
from circuitbase.tracing.components.attribution_options import (
    ABLATION_NAMES,
    METHOD_NAMES,
    METRIC_NAMES,
    RULE_NAMES,
    USES,
    AblationName,
    AttributionOptions,
    Method,
    Rule,
)
from circuitbase.tracing.dtypes import DTYPE_NAMES, DType

if TYPE_CHECKING:
    from circuitbase.tracing.components.pairs import Pair
    from circuitbase.tracing.tokenizing import PromptTokenizer

_STEPS = ", ".join(f"{uses.steps} for {name}" for name, uses in USES.items() if uses.steps)
_RULES = ", ".join(f"{uses.rule} for {name}" for name, uses in USES.items() if uses.rule)


@click.command()
@click.argument("pairs", metavar="PAIRS.json")
@click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one.")
@click.option(
    "--method",
    type=click.Choice(METHOD_NAMES),
    default=AttributionOptions.method,
    show_default=True,
    help="How edges are scored.",
)
@click.option("--steps", type=click.IntRange(min=1), help=f"Places that an integral looks at.  [default: {_STEPS}]")
@click.option("--rule", type=click.Choice(RULE_NAMES), help=f"Rule of the integral.  [default: {_RULES}]")
@click.option(
    "--ablation",
    type=click.Choice(ABLATION_NAMES),
    help=f"What an ablated component writes.  [default: {ABLATION_NAMES[0]}]",
)
@click.option(
    "--mean-over", metavar="PAIRS.json", help="Take means over the clean prompts of this file.  [default: of PAIRS]"
)
@click.option(
    "--metric",
    metavar="NAME",
    help=f"{', '.join(METRIC_NAMES)}, or a function of your own as FILE.py:FUNCTION.  [default: {METRIC_NAMES[0]}]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=AttributionOptions.batch_size,
    show_default=True,
    help="Pairs run together; changes no score.",
)
@click.option(
    "--dtype", type=click.Choice(DTYPE_NAMES), default="float32", show_default=True, help="Type of the weights."
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1.")
@click.option("--allow-pickle", is_flag=True, help="Read weights from pytorch_model.bin where safetensors are missing.")
@click.option("--out", metavar="SCORES.json", help="Write every edge's score on every pair here.")
@click.option("--eap-ig", metavar="FILE", help="Write the mean scores as EAP-IG does, to a .json or .pt file.")
@click.option("--top", type=click.IntRange(min=0), default=10, show_default=True, help="Strongest edges to show.")
@output_options
def attribute(  # noqa: PLR0913  # one parameter per option
    pairs: str,
    model: str,
    method: Method,
    steps: int | None,
    rule: Rule | None,
    ablation: AblationName | None,
    mean_over: str | None,
    metric: str | None,
    batch_size: int,
    dtype: DType,
    device: str,
    allow_pickle: bool,
    out: str | None,
    eap_ig: str | None,
    top: int,
    output: str | None,
) -> None:
    """Score the edges between heads, MLPs, input and logits on the pairs of PAIRS.json.

    The file holds {"pairs": [{"clean", "corrupted", "correct", "wrong"}]}: two prompts of one length, as text or
    token ids, and the tokens that are right and wrong after the clean one. A score is about what the metric loses
    without the edge: positive supports it. --csv prints every edge, --json one object.

    \b
    Examples:
      circuitbase attribute pairs.json --model atlas --method eap-ig-inputs --out scores.json
      circuitbase attribute pairs.json --model ./gpt2 --method eap --ablation mean --mean-over others.json
    """
    from circuitbase.tracing.components.eap_ig_files import check_suffix, whole_graph, write_eap_ig
    from circuitbase.tracing.components.pair_file import read_pairs
    from circuitbase.tracing.components.score_files import write_scores
    from circuitbase.tracing.tokenizing import PromptTokenizer

    # everything that can be refused is, before torch is imported
    options = AttributionOptions(method, steps, rule, ablation, _metric(metric), batch_size)
    if eap_ig is not None:
        check_suffix(eap_ig)
    for path in (out, eap_ig):
        if path is not None and not Path(path).parent.is_dir():
            raise InputError(f"{path} cannot be written, for its folder does not exist; make it first")
    place = resolve_model(model)
    tokenizer = PromptTokenizer(place)
    read = read_pairs(pairs, tokenizer)
    _check_answers(read, options)
    over = _mean_over(mean_over, options, tokenizer)

    with shown_stage() as stage:
        stage("loading torch")
        from circuitbase.tracing.components.attribution import attribute as scored
        from circuitbase.tracing.components.hugging_face import component_model
        from circuitbase.tracing.models import load_model

        stage("loading the model")
        loaded = load_model(place, dtype=dtype, device=device, allow_pickle=allow_pickle)
        components = component_model(loaded)
        stage("scoring edges")
        found = scored(
            components,
            read,
            options,
            mean_over=over,
            said=lambda done: stage(f"scoring edges: {done} of {len(read)} pairs"),
        )
    if out is not None:
        write_scores(found, out)
        click.echo(f"wrote {out}", err=True)
    if eap_ig is not None:
        write_eap_ig(whole_graph(found.graph, found.mean, d_model=components.W_U.shape[1]), eap_ig)
        click.echo(f"wrote {eap_ig}", err=True)
    show_scores(found, model=loaded.identity.id, metric=metric, mean_over=mean_over, output=output, top=top)


def _metric(text: str | None) -> Any:
    from circuitbase.tracing.components.metric_file import read_metric

    return text if text is None or text in METRIC_NAMES else read_metric(text)


def _check_answers(pairs: "list[Pair]", options: AttributionOptions) -> None:
    from circuitbase.tracing.components.pairs import check_answers

    if isinstance(options.metric, str) and options.metric != "kl":
        check_answers(pairs, metric=options.metric)


def _mean_over(
    path: str | None, options: AttributionOptions, tokenizer: "PromptTokenizer"
) -> list[tuple[int, ...]] | None:
    from circuitbase.tracing.components.pair_file import read_pairs

    if path is None:
        return None
    if options.ablation not in ("mean", "positional-mean"):
        raise InputError(
            "--mean-over names the set of a mean, so it does nothing without --ablation mean; leave it out"
        )
    return [pair.clean for pair in read_pairs(path, tokenizer)]
