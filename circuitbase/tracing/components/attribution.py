"""Contrastive attribution: every edge of a model scored on pairs of prompts, by any of the methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from circuitbase.errors import InputError
from circuitbase.tracing.components.ablations import Ablation, ablation, check_positions
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.edge_scores import EdgeScores
from circuitbase.tracing.components.methods import METHODS
from circuitbase.tracing.components.metrics import metric_for
from circuitbase.tracing.components.pairs import Pair, check_pairs


def attribute(
    model: ComponentModel,
    pairs: Sequence[Pair],
    options: AttributionOptions = AttributionOptions(),  # noqa: B008  # frozen
    *,
    mean_over: Sequence[tuple[int, ...]] | None = None,
    said: Callable[[int], None] | None = None,
) -> EdgeScores:
    """Returns the scores of all edges on pairs, by `options.method`.

    A mean ablation is over the prompts `mean_over` (token ids), by default the clean prompts of the pairs. How
    pairs are batched and padded changes nothing. `said` hears how many pairs are done after each batch. Raises
    InputError for pairs that cannot be compared.
    """
    n_outputs = len(model.W_U)
    check_pairs(pairs, n_tokens=model.n_input_tokens or n_outputs, n_outputs=n_outputs)
    metric = None if options.metric is None else metric_for(options.metric, pairs)
    ablates = _ablation(model, pairs, options, mean_over)
    batches = pair_batches(pairs, batch_size=options.batch_size, causal=model.causal, device=model.W_U.device)
    found: list[_Scored] = []
    for batch in batches:
        found.append(_scored(Contrast(model, batch, ablates, metric), options))
        if said is not None:
            said(sum(len(each.places) for each in found))
    order = np.argsort([place for batch in found for place in batch.places])

    def joined(numbers: Sequence[np.ndarray | None]) -> np.ndarray | None:
        there = [each for each in numbers if each is not None]
        return np.concatenate(there)[order] if there else None

    scores = joined([batch.scores for batch in found])
    assert scores is not None
    return EdgeScores(
        graph=model.graph,
        options=options,
        scores=scores,
        clean=joined([batch.clean for batch in found]),
        ablated=joined([batch.ablated for batch in found]),
        gap=joined([batch.gap for batch in found]),
    )


def _ablation(
    model: ComponentModel,
    pairs: Sequence[Pair],
    options: AttributionOptions,
    mean_over: Sequence[tuple[int, ...]] | None,
) -> Ablation | None:
    name = options.ablation
    if name not in ("mean", "positional-mean") and mean_over is not None:
        what = f"an ablation by {name}" if name else f"the method {options.method}"
        raise InputError(f"{what} takes no mean, so mean_over does nothing; leave it out")
    if name is None:
        return None
    over = [pair.clean for pair in pairs] if mean_over is None else list(mean_over)
    check_positions(name, over=over, lengths=[len(pair.clean) for pair in pairs])
    return ablation(model, name, over=over, batch_size=options.batch_size)


@dataclass(frozen=True)
class _Scored:
    places: tuple[int, ...]
    scores: np.ndarray
    clean: np.ndarray | None
    ablated: np.ndarray | None
    gap: np.ndarray | None


def _scored(contrast: Contrast, options: AttributionOptions) -> _Scored:
    found = METHODS[options.method](contrast, options)
    measures = options.metric is not None
    return _Scored(
        places=contrast.batch.places,
        scores=found.scores.detach().cpu().numpy(),
        clean=contrast.clean_metric().cpu().numpy() if measures else None,
        ablated=contrast.ablated_metric().cpu().numpy() if measures else None,
        gap=None if found.gap is None else found.gap.cpu().numpy(),
    )
