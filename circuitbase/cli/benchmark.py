"""`benchmark`: how well every method of attribution finds circuits that are known."""

from dataclasses import asdict
from typing import Any

import click

from circuitbase.cli.output import chosen_format, output_options, show_rows
from circuitbase.cli.trace import shown_stage
from circuitbase.evaluation.benchmark_options import GROUND_TRUTH_NAMES, SCORERS, BenchmarkOptions
from circuitbase.tracing.components.attribution_options import (
    ABLATION_NAMES,
    METRIC_NAMES,
    AblationName,
    MetricName,
)

COLUMNS = (
    "ground_truth",
    "method",
    "ablation",
    "metric",
    "auroc",
    "average_precision",
    "structural_auroc",
    "structural_average_precision",
    "dead",
    "cpr",
    "cmd",
    "seconds",
)
SHORT = {
    "average_precision": "AP",
    "auroc": "AUROC",
    "structural_auroc": "sAUROC",
    "structural_average_precision": "sAP",
    "cpr": "CPR",
    "cmd": "CMD",
    "seconds": "s",
}
"""Headers of the table, which is for people; CSV and JSON have the whole names."""


@click.command()
@click.option("--method", "methods", multiple=True, type=click.Choice(SCORERS), help="Repeatable.  [default: all]")
@click.option(
    "--ground-truth",
    "ground_truths",
    multiple=True,
    type=click.Choice(GROUND_TRUTH_NAMES),
    help="Repeatable.  [default: all]",
)
@click.option(
    "--ablation",
    "ablations",
    multiple=True,
    type=click.Choice(ABLATION_NAMES),
    help="What an ablated component writes; means are over the clean prompts. Repeatable.  [default: patching]",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    type=click.Choice(METRIC_NAMES),
    help="Repeatable.  [default: logit-difference]",
)
@click.option("--steps", type=click.IntRange(min=1), help="Steps of methods that integrate.  [default: each its own]")
@click.option(
    "--seed", type=int, default=BenchmarkOptions.seed, show_default=True, help="Of pairs and of the random baseline."
)
@output_options
def benchmark(
    methods: tuple[str, ...],
    ground_truths: tuple[str, ...],
    ablations: tuple[AblationName, ...],
    metrics: tuple[MetricName, ...],
    steps: int | None,
    seed: int,
    output: str | None,
) -> None:
    """Run methods of attribution on small models whose circuits are known.

    The models are programs compiled by tracr, gates and a linear model set by hand, and trained toys. AUROC and
    average precision (AP) say how well absolute scores, averaged over pairs, tell the edges that have an effect from
    all others; sAUROC and sAP (structural), how well they tell those that the weights hold at all. Dead are edges
    with an effect that score next to nothing. CPR and CMD are the areas under the faithfulness of the circuits that
    the scores select, and under its distance from 1. docs/benchmark.md reads the whole table.

    \b
    Examples:
      circuitbase benchmark
      circuitbase benchmark --ground-truth indirect-object --ablation patching --ablation mean --csv
    """
    default = BenchmarkOptions()
    options = BenchmarkOptions(
        methods=methods or default.methods,
        ground_truths=ground_truths or default.ground_truths,
        ablations=ablations or default.ablations,
        metrics=metrics or default.metrics,
        steps=steps,
        seed=seed,
    )
    with shown_stage() as stage:
        stage("loading torch")
        import torch

        from circuitbase.evaluation.benchmark import benchmark as run_benchmark

        torch.set_num_threads(1)  # the models are so small that threads only wait for each other
        rows = [asdict(row) for row in run_benchmark(options, progress=stage)]
    if chosen_format(output) == "table":
        show_table(rows, ablations=options.ablations, metrics=options.metrics)
    else:
        show_rows(rows, output=output, columns=COLUMNS)


def show_table(rows: list[dict[str, Any]], *, ablations: tuple[str, ...], metrics: tuple[str, ...]) -> None:
    """Prints rows for people: three decimals, and an ablation or metric that all share in the title alone."""
    shared = {"ablation": ablations, "metric": metrics}
    title = ", ".join(f"{name}: {given[0]}" for name, given in shared.items() if len(given) == 1)
    names = [name for name in COLUMNS if len(shared.get(name, ())) != 1]
    shown = [
        {SHORT.get(name, name): round(row[name], 3) if isinstance(row[name], float) else row[name] for name in names}
        for row in rows
    ]
    show_rows(shown, output="table", title=title or None)
