"""`patch` and `scrub`: interventions on a model's components, on pairs of prompts."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from circuitbase.cli.component_options import ComponentRun, asked_metric, component_options, loaded, prompts_of
from circuitbase.cli.output import output_options, show_rows
from circuitbase.cli.patch_options import patch_options
from circuitbase.cli.patch_storing import MeanSet
from circuitbase.cli.patch_storing import store as stored
from circuitbase.errors import InputError

if TYPE_CHECKING:
    from circuitbase.tracing.patching.patch_options import PatchOptions


@click.command()
@click.argument("pairs", metavar="PAIRS.json")
@component_options
@patch_options
@click.option(
    "--mean-over", metavar="FILE", help="knockout: prompts, or pairs (.json), to average over.  [default: PAIRS]"
)
@click.option("--check-pairs", is_flag=True, help="Patch nothing; say which pairs are symmetric token replacements.")
@click.option("--per-pair", is_flag=True, help="Show every pair instead of their mean.")
@click.option("--top", type=click.IntRange(min=1), help="Places to show, the largest change first.  [default: all]")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw a heat map into this PNG file.")
@click.option("--store", is_flag=True, help="Put the results into Neo4j.")
@output_options
def patch(  # noqa: PLR0913  # one parameter per option
    pairs: str,
    run: ComponentRun,
    options: "PatchOptions",
    mean_over: str | None,
    check_pairs: bool,
    per_pair: bool,
    top: int | None,
    plot: Path | None,
    store: bool,
    output: str | None,
) -> None:
    """Put values of one run of the model into another, and see what that does to the metric.

    The file holds {"pairs": [{"clean", "corrupted", "correct", "wrong"}]}, as for `attribute`. change is the metric
    with the patch minus without it; the share (patched − corrupted) / (clean − corrupted) is 1 where the answer is
    the clean one.

    \b
    Examples:
      circuitbase patch pairs.json --model atlas --site heads
      circuitbase patch pairs.json --model atlas --site residual --positions each --direction denoising --plot map.png
      circuitbase patch pairs.json --model atlas --method path --receiver "a2.h0<k>" --store
      circuitbase patch pairs.json --model atlas --method knockout --component a2.h0,a2.h1 --mean-over prompts.jsonl
      circuitbase patch pairs.json --model atlas --method causal-tracing --site mlps --window 2 --positions each
    """
    from circuitbase.cli.patch_rows import COLUMNS, COLUMNS_BY_PAIR, effect_rows, pair_rows, summary

    if mean_over is not None and options.method != "knockout":
        raise InputError(f"--mean-over says what a knockout's means are over, and the method is {options.method}")
    options = replace(options, metric=asked_metric(run.metric), batch_size=run.batch_size)
    if check_pairs:
        _show_checks(pairs, run, output=output)
        return
    found = loaded(run, pairs)
    means = None
    if options.method == "knockout":
        clean = [pair.clean for pair in found.pairs]
        prompts = clean if mean_over is None else prompts_of(mean_over, found.traced)
        means = MeanSet(mean_over or "clean prompts", prompts)
        click.echo(f"knocked out by the mean over {len(means.prompts)} prompts: {means.name}", err=True)

    from circuitbase.tracing.patching.experiment import patch as patched
    from circuitbase.tracing.patching.pair_checks import check_replacements

    result = patched(found.components, found.pairs, options, mean_over=None if means is None else means.prompts)
    crooked = sum(not check.symmetric for check in check_replacements(found.pairs))
    if crooked and options.method in ("activation", "attribution", "path"):
        click.echo(
            f"{crooked} of {len(found.pairs)} pairs are not seen to be symmetric replacements; see --check-pairs",
            err=True,
        )
    click.echo(summary(result, metric=run.metric), err=True)
    if per_pair:
        show_rows(pair_rows(result), output=output, columns=COLUMNS_BY_PAIR)
    else:
        rows = effect_rows(result)
        show_rows(rows[: None if top is None else top * len(result.effects)], output=output, columns=COLUMNS)
    if plot is not None:
        from circuitbase.cli.patch_heat_map import effect_map
        from circuitbase.pages.heat_map import heat_map_png
        from circuitbase.store.trace_store import write_bytes

        drawing = effect_map(
            result,
            model=found.traced.identity.name,
            metric=run.metric,
            pairs=found.pairs,
            tokenizer=found.traced.tokenizer,
        )
        click.echo(f"wrote {write_bytes(heat_map_png(drawing), str(plot))}", err=True)
    if store:
        click.echo(stored(result, found, metric=run.metric, mean_set=means), err=True)


def _show_checks(pairs: str, run: ComponentRun, *, output: str | None) -> None:
    from circuitbase.cli.models import resolve_model
    from circuitbase.cli.patch_rows import COLUMNS_OF_CHECKS, check_rows
    from circuitbase.tracing.components.pair_file import read_pairs
    from circuitbase.tracing.patching.pair_checks import check_replacements
    from circuitbase.tracing.tokenizing import PromptTokenizer

    tokenizer = PromptTokenizer(resolve_model(run.model))
    read = read_pairs(pairs, tokenizer)
    show_rows(check_rows(check_replacements(read), read, tokenizer), output=output, columns=COLUMNS_OF_CHECKS)


@click.command()
@click.argument("hypothesis", metavar="HYPOTHESIS.json")
@click.argument("pairs", metavar="PAIRS.json")
@component_options
@click.option("--samples", type=click.IntRange(min=1), default=16, show_default=True, help="Draws for each prompt.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the draws.")
@output_options
def scrub(hypothesis: str, pairs: str, run: ComponentRun, samples: int, seed: int, output: str | None) -> None:
    """Test a hypothesis by causal scrubbing on the clean prompts of pairs.

    Everything that the hypothesis calls irrelevant is taken from other prompts; share is what is left of the
    difference between the model and the output on a random prompt. docs/patching.md has the form of the file.

    \b
    Example:
      circuitbase scrub hypothesis.json pairs.json --model atlas
    """
    metric = asked_metric(run.metric)
    found = loaded(run, pairs)

    from circuitbase.tracing.components.metrics import metric_for
    from circuitbase.tracing.patching.hypothesis import read_hypothesis
    from circuitbase.tracing.patching.scrubbing import scrubbing_data
    from circuitbase.tracing.patching.scrubbing_result import scrub as scrubbed

    asked = read_hypothesis(hypothesis, graph=found.components.graph, n_pairs=len(found.pairs))
    result = scrubbed(
        scrubbing_data(found.components, found.pairs),
        asked,
        metric=metric_for(metric, found.pairs),
        metric_name=run.metric,
        samples=samples,
        seed=seed,
    )
    for node in dict.fromkeys(result.alternatives):
        matters = ", ".join(map(str, node.matters)) or "nothing"
        click.echo(f"{node.node}: {matters} matters; {node.prompts:.3g} of {len(found.pairs)} prompts agree", err=True)
    rows = [
        {
            "what": each.what,
            "model": each.model,
            "scrubbed": each.scrubbed,
            "random": each.random,
            "share": each.share,
            "error": each.error,
        }
        for each in result.recovered
    ]
    show_rows(rows, output=output, title=asked.name)
