"""Runs methods on ground truths: how well each finds the known circuit, and how faithful what it finds is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from circuitbase.evaluation.baselines import baseline_scores
from circuitbase.evaluation.benchmark_options import BASELINES, BenchmarkOptions
from circuitbase.evaluation.circuit_curves import CircuitRuns, circuit_curve, circuit_runs
from circuitbase.evaluation.ground_truths import GroundTruth, ground_truth
from circuitbase.evaluation.known_circuit import InUniverse, auroc, average_precision, in_universe
from circuitbase.evaluation.small_components import component_model
from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import USES, AblationName, AttributionOptions, MetricName
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.pairs import Pair

DEAD = 1e-6
"""Scores below this share of the largest are dead: the edge is as good as not seen."""


@dataclass(frozen=True)
class Row:
    """One method on one ground truth. A number is None where the ground truth or the ablation does not give it."""

    ground_truth: str
    method: str
    ablation: AblationName
    metric: MetricName
    auroc: float | None
    """Of |score|, averaged over pairs, for the edges with an effect (of a toy: its mechanism)."""
    average_precision: float | None
    structural_auroc: float | None
    """The same for the edges that the weights hold."""
    structural_average_precision: float | None
    dead: int | None
    """Edges with an effect whose score is below `DEAD` of the largest."""
    cpr: float | None
    """Of the circuits of the largest signed mean scores, negated where the metric is lower on the clean prompts."""
    cmd: float | None
    """Of the circuits of the largest absolute scores."""
    seconds: float
    """The method's own."""


Scores = Float[np.ndarray, "pair source receiver"]


def benchmark(
    options: BenchmarkOptions = BenchmarkOptions(),  # noqa: B008  # frozen
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> Iterator[Row]:
    """Yields a row for every ground truth, ablation, metric and method; `progress` is told what is under way."""
    for name in options.ground_truths:
        truth = ground_truth(name, seed=options.seed)
        model = component_model(truth.model)
        pairs = attribution_pairs(truth)
        runs: dict[tuple[AblationName, MetricName], CircuitRuns] = {}
        for method, ablation, metric in options.runs():
            progress(f"{name}: {method}")
            started = time.perf_counter()
            scores = method_scores(
                model, pairs, method, ablation=ablation, metric=metric, steps=options.steps, seed=options.seed
            )
            seconds = time.perf_counter() - started
            if (ablation, metric) not in runs:
                runs[ablation, metric] = circuit_runs(model, pairs, ablation=ablation, metric=metric)
            yield judged(truth, scores, runs[ablation, metric], method=method, seconds=seconds)


def attribution_pairs(truth: GroundTruth) -> list[Pair]:
    """Returns the pairs of a ground truth as contrastive attribution takes them."""
    rows = zip(truth.pairs.clean, truth.pairs.corrupted, truth.pairs.correct, truth.pairs.wrong, strict=True)
    return [
        Pair(tuple(clean.tolist()), tuple(corrupted.tolist()), (int(correct),), (int(wrong),))
        for clean, corrupted, correct, wrong in rows
    ]


def method_scores(
    model: ComponentModel,
    pairs: list[Pair],
    method: str,
    *,
    ablation: AblationName,
    metric: MetricName,
    steps: int | None = None,
    seed: int = 0,
) -> Scores:
    """Returns what a method of attribution, or a baseline, scores every edge for each pair."""
    if method in BASELINES:
        return baseline_scores(model, pairs, method, seed=seed)
    uses = USES[method]  # type: ignore[index]  # BenchmarkOptions let through only these
    options = AttributionOptions(
        method=method,  # type: ignore[arg-type]
        steps=steps if uses.steps else None,
        ablation=ablation if uses.ablations else None,
        metric=metric if uses.metric else None,
        batch_size=len(pairs),
    )
    return attribute(model, pairs, options).scores


def judged(truth: GroundTruth, scores: Scores, runs: CircuitRuns, *, method: str, seconds: float) -> Row:
    """Returns how scores stand against a ground truth and its runs."""
    graph = runs.model.graph
    universe = list(graph.edge_names())
    strength, signed = np.abs(scores).mean(0)[graph.edges], scores.mean(0)[graph.edges]
    by_name = dict(zip(universe, strength.tolist(), strict=True))

    def against(edges: frozenset[str] | None) -> InUniverse | None:
        return in_universe(by_name, edges, universe) if edges else None

    known, structural = against(truth.true_edges), against(truth.structural)
    # where the metric is lower on the clean prompts, what makes it so has scores below 0
    direction = np.sign(runs.full.mean() - runs.empty.mean())
    signed_curve, absolute_curve = circuit_curve(runs, direction * signed), circuit_curve(runs, strength)
    return Row(
        ground_truth=truth.name,
        method=method,
        ablation=runs.ablation,
        metric=runs.metric,
        auroc=None if known is None else auroc(known),
        average_precision=None if known is None else average_precision(known),
        structural_auroc=None if structural is None else auroc(structural),
        structural_average_precision=None if structural is None else average_precision(structural),
        dead=None if known is None else int((known.score[known.inside] <= DEAD * known.score.max()).sum()),
        cpr=None if signed_curve is None else signed_curve.cpr,
        cmd=None if absolute_curve is None else absolute_curve.cmd,
        seconds=seconds,
    )
