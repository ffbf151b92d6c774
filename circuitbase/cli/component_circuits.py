"""`component-circuit`: the edges of a model that carry a behaviour, and how faithful they are to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.circuit_rows import curve_lines, curve_rows, edge_rows, faithfulness_row, pair_rows
from circuitbase.cli.component_options import (
    ComponentRun,
    Loaded,
    asked_metric,
    component_options,
    loaded,
    prompts_of,
)
from circuitbase.cli.output import output_options, show_rows
from circuitbase.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from circuitbase.tracing.components.attribution_options import AblationName
    from circuitbase.tracing.patching.circuit_prompts import CircuitPrompts


@click.command()
@click.argument("pairs", metavar="PAIRS.json")
@component_options
@click.option("--scores", metavar="SCORES", help="Scores of the edges, as `attribute` writes them.")
@click.option("--top", type=click.IntRange(min=0), help="Keep this many edges, the highest first.")
@click.option("--threshold", type=float, help="Keep edges whose score is at least this.")
@click.option("--greedy", type=click.IntRange(min=0), help="Keep this many, each leading into those kept before.")
@click.option("--acdc", type=float, metavar="TAU", help="Drop every edge that raises the divergence by less than TAU.")
@click.option("--signed", is_flag=True, help="Rank edges by their score; otherwise by its absolute value.")
@click.option(
    "--ablation",
    type=click.Choice(("patching", "zero", "mean", "positional-mean")),
    default="patching",
    show_default=True,
    help="What edges outside carry: the corrupted prompt's values, nothing, or a mean.",
)
@click.option("--mean-over", metavar="FILE", help="Prompts, or pairs (.json), that a mean is over.  [default: PAIRS]")
@click.option("--curve", is_flag=True, help="Faithfulness over MIB's grid of sizes, with CPR and CMD.")
@click.option("--edges", is_flag=True, help="Show the circuit's edges with their scores (--acdc: cost in nats).")
@click.option("--per-pair", is_flag=True, help="Show every pair's metric in the circuit, the model and with no edges.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw the curve into this PNG file.")
@output_options
def component_circuit(  # noqa: PLR0913  # one parameter per option
    pairs: str,
    run: ComponentRun,
    scores: str | None,
    top: int | None,
    threshold: float | None,
    greedy: int | None,
    acdc: float | None,
    signed: bool,
    ablation: "AblationName",
    mean_over: str | None,
    curve: bool,
    edges: bool,
    per_pair: bool,
    seed: int,
    plot: Path | None,
    output: str | None,
) -> None:
    """Keep some edges of the model, ablate all others, and measure what is left of the metric on the pairs.

    faithfulness is (m(circuit) − m(no edges)) / (m(model) − m(no edges)), a ratio of means over pairs, with a
    bootstrap interval over pairs; it is left out where the two ends are within 2 standard errors. complement is the
    same of the model without the circuit.

    \b
    Examples:
      circuitbase component-circuit pairs.json --model atlas --scores scores.json --top 50
      circuitbase component-circuit pairs.json --model atlas --scores scores.json --curve --plot curve.png
      circuitbase component-circuit pairs.json --model atlas --acdc 0.01 --edges
    """
    chosen = {"--top": top, "--threshold": threshold, "--greedy": greedy, "--acdc": acdc}
    _check(chosen, scores=scores, signed=signed, curve=curve, plot=plot, shown=edges or per_pair)
    if mean_over is not None and not ablation.endswith("mean"):
        raise InputError(f"--mean-over says what a mean is over, and the ablation is {ablation}; leave it out")
    metric = asked_metric(run.metric)
    found = loaded(run, pairs)

    from circuitbase.tracing.components.ablations import ablation as ablated
    from circuitbase.tracing.components.score_files import read_scores
    from circuitbase.tracing.patching import circuit_evaluation as evaluation
    from circuitbase.tracing.patching.circuit_prompts import circuit_prompts

    over = [pair.clean for pair in found.pairs] if mean_over is None else prompts_of(mean_over, found.traced)
    kind = ablated(found.components, ablation, over=over, batch_size=run.batch_size)
    batches = circuit_prompts(found.components, found.pairs, kind, metric=metric, batch_size=run.batch_size)
    graph = found.components.graph
    ranks = None if scores is None else read_scores(scores, graph).mean(0)
    between = evaluation.bounds(found.components, batches)
    ends = f"model {between.full.mean():.4g}, no edges {between.empty.mean():.4g}"
    click.echo(f"{run.metric}, mean over {len(found.pairs)} pairs: {ends}", err=True)
    if curve and ranks is not None:
        drawn = evaluation.curve(
            found.components, batches, ranks, between=between, greedy=greedy is not None, seed=seed
        )
        show_rows(curve_rows(drawn), output=output)
        click.echo(f"CPR {_shown(drawn.cpr)} (signed), CMD {_shown(drawn.cmd)} (absolute)", err=True)
        if plot is not None:
            from circuitbase.pages.faithfulness_plot import faithfulness_png
            from circuitbase.store.trace_store import write_bytes

            title = f"Circuits of {found.traced.identity.name}, {ablation} ablation"
            click.echo(f"wrote {write_bytes(faithfulness_png(title, curve_lines(drawn)), str(plot))}", err=True)
        return
    kept, numbers = _circuit(found, batches, ranks, chosen, absolute=not signed)
    result = evaluation.evaluated(found.components, batches, kept, between=between, seed=seed)
    if edges:
        show_rows(edge_rows(graph, kept, numbers), output=output, columns=("source", "receiver", "score"))
    elif per_pair:
        show_rows(pair_rows(result, between), output=output)
    else:
        show_rows([faithfulness_row(result)], output=output)


def _check(
    chosen: dict[str, Any], *, scores: str | None, signed: bool, curve: bool, plot: Path | None, shown: bool
) -> None:
    given = [name for name, value in chosen.items() if value is not None]
    if curve and (scores is None or [name for name in given if name != "--greedy"] or signed or shown):
        raise InputError(
            "--curve takes --scores, and --greedy or neither: it chooses the sizes and shows both rankings; "
            "leave out the others"
        )
    if not curve and len(given) != 1:
        raise InputError(f"give one of {', '.join(chosen)}, or --curve, got {' and '.join(given) or 'none'}")
    if not curve and (scores is None) != (given == ["--acdc"]):
        raise InputError(
            f"{given[0]} {'needs --scores' if scores is None else 'finds its own edges, without --scores'}"
        )
    if signed and given == ["--acdc"]:
        raise InputError("--signed ranks scores, and --acdc takes none; leave it out")
    if plot is not None and not curve:
        raise InputError("--plot draws the curve; give --curve too")


def _circuit(
    found: Loaded,
    batches: "list[CircuitPrompts]",
    ranks: "np.ndarray | None",
    chosen: dict[str, Any],
    *,
    absolute: bool,
) -> "tuple[np.ndarray, np.ndarray]":
    """Returns the edges that are kept, and every edge's score; of ACDC, what dropping it cost in nats."""
    from circuitbase.tracing.patching import circuit_selection as selection
    from circuitbase.tracing.patching.acdc import acdc

    graph = found.components.graph
    if ranks is None:
        result = acdc(found.components, batches, tau=chosen["--acdc"])
        click.echo(
            f"tried {result.n_tried} of {graph.n_edges} edges, divergence {result.divergence:.4g} nats", err=True
        )
        return result.kept, result.cost
    if chosen["--top"] is not None:
        return selection.top_edges(graph, ranks, n=chosen["--top"], absolute=absolute), ranks
    if chosen["--greedy"] is not None:
        return selection.greedy_edges(graph, ranks, n=chosen["--greedy"], absolute=absolute), ranks
    return selection.edges_above(graph, ranks, threshold=chosen["--threshold"], absolute=absolute), ranks


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
