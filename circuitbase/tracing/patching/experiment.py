"""The patching suite: every kind of intervention on pairs, with what it did to each pair's metric."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.batches import pair_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.metrics import metric_for
from circuitbase.tracing.components.pairs import Pair, check_pairs
from circuitbase.tracing.patching.activation_patching import Values, patched_metrics
from circuitbase.tracing.patching.causal_tracing import mean_of_samples, noised_pairs
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.effects import PatchEffects
from circuitbase.tracing.patching.first_order import attributed_metrics
from circuitbase.tracing.patching.knockouts import component_means, knocked_out_metrics
from circuitbase.tracing.patching.noise import Noise
from circuitbase.tracing.patching.noise_positions import noise_mask
from circuitbase.tracing.patching.paired import Ends, PairedPrompts, ends, paired_prompts
from circuitbase.tracing.patching.patch_options import Group, PatchOptions
from circuitbase.tracing.patching.patch_site import PatchSite
from circuitbase.tracing.patching.path_patching import path_patched_metrics
from circuitbase.tracing.patching.places import Place, places
from circuitbase.tracing.patching.receivers import receivers
from circuitbase.tracing.patching.subjects import Subject, subject_of_names, subject_of_place


@dataclass(frozen=True)
class PatchResult:
    """What was changed, and for each direction what it did. Causal tracing denoises and a knockout noises."""

    options: PatchOptions
    subjects: tuple[Subject, ...]
    effects: tuple[PatchEffects, ...]


@dataclass(frozen=True)
class _Asked:
    """What is changed, resolved for the model: places, or groups of components."""

    places: tuple[Place, ...]
    groups: tuple[Group, ...]
    subjects: tuple[Subject, ...]
    means: Values


def patch(
    model: ComponentModel,
    pairs: Sequence[Pair],
    options: PatchOptions,
    *,
    mean_over: Sequence[tuple[int, ...]] | None = None,
) -> PatchResult:
    """Returns the effects of interventions on pairs; knockouts take means over `mean_over`, else the clean prompts.

    Effects of each position need pairs of one length: positions are compared by their number. Raises InputError for
    pairs that cannot be compared and for places that the model does not have.
    """
    check_pairs(pairs, n_tokens=len(model.W_U))
    asked = _asked(model, pairs, options, mean_over=mean_over)
    metric = metric_for(options.metric, pairs)
    directions = options.directions or ((Direction.DENOISING,) if _traces(options) else (Direction.NOISING,))
    n, k = len(pairs), len(asked.subjects)
    clean, corrupted = np.zeros(n), np.zeros(n)
    patched = {direction: np.zeros((k, n)) for direction in directions}
    for batch in pair_batches(pairs, batch_size=options.batch_size, causal=model.causal, device=model.W_U.device):
        prompts, where = paired_prompts(model, batch, metric), list(batch.places)
        if _traces(options):
            prompts = noised_pairs(prompts, noise_mask(batch, options.noise_positions), noise=_noise(options))
        found = _of_samples(options, ends(model, prompts))
        clean[where], corrupted[where] = _numbers(found.clean), _numbers(found.corrupted)
        for direction in directions:
            metrics = _patched(model, prompts, asked, options, direction=direction)
            patched[direction][:, where] = _numbers(metrics)
    effects = tuple(PatchEffects(clean, corrupted, patched[direction], direction) for direction in directions)
    return PatchResult(options, asked.subjects, effects)


def _asked(
    model: ComponentModel,
    pairs: Sequence[Pair],
    options: PatchOptions,
    *,
    mean_over: Sequence[tuple[int, ...]] | None,
) -> _Asked:
    if options.method == "path":
        to = receivers(model, options.receivers or ())
        groups = options.senders or _all_senders(model, [found.name for found in to])
        return _Asked((), groups, tuple(subject_of_names(group, to=to) for group in groups), {})
    if options.method == "knockout":
        groups = options.components or _all_components(model, options.site)
        prompts = mean_over if mean_over is not None else [pair.clean for pair in pairs]
        means = component_means(
            model, prompts, by_position=bool(options.mean_by_position), batch_size=options.batch_size
        )
        return _Asked((), groups, tuple(subject_of_names(group) for group in groups), means)
    assert options.site is not None and options.window is not None  # the method's defaults
    positions = range(_one_length(pairs)) if options.each_position else None
    found = places(model, options.site, positions=positions, window=options.window)
    return _Asked(found, (), tuple(subject_of_place(place, n_heads=model.n_heads) for place in found), {})


def _patched(
    model: ComponentModel, prompts: PairedPrompts, asked: _Asked, options: PatchOptions, *, direction: Direction
) -> Tensor:
    match options.method:
        case "attribution":
            return attributed_metrics(model, prompts, asked.places, direction=direction)
        case "path":
            return path_patched_metrics(
                model,
                prompts,
                asked.groups,
                options.receivers or (),
                direction=direction,
                recompute_mlps=bool(options.recompute_mlps),
                rows=options.rows,
            )
        case "knockout":
            return knocked_out_metrics(model, prompts, asked.groups, means=asked.means, rows=options.rows)
        case "activation" | "causal-tracing":
            found = patched_metrics(
                model, prompts, [[place] for place in asked.places], direction=direction, rows=options.rows
            )
            return mean_of_samples(found, samples=_noise(options).samples) if _traces(options) else found


def _traces(options: PatchOptions) -> bool:
    return options.method == "causal-tracing"


def _noise(options: PatchOptions) -> Noise:
    assert options.noise is not None  # the method's default
    return options.noise


def _of_samples(options: PatchOptions, found: Ends) -> Ends:
    if not _traces(options):
        return found
    samples = _noise(options).samples
    return Ends(mean_of_samples(found.clean, samples=samples), mean_of_samples(found.corrupted, samples=samples))


def _all_senders(model: ComponentModel, to: Sequence[str]) -> tuple[Group, ...]:
    graph = model.graph
    reads = max(int(graph.reads[graph.receiver_names.index(name)]) for name in to)
    return tuple((name,) for name in graph.source_names[:reads])


def _all_components(model: ComponentModel, site: PatchSite | None) -> tuple[Group, ...]:
    letter = "m" if site == PatchSite.MLPS else "a"
    return tuple((name,) for name in model.graph.source_names[1:] if name.startswith(letter))


def _one_length(pairs: Sequence[Pair]) -> int:
    lengths = sorted({len(pair.clean) for pair in pairs})
    if len(lengths) > 1:
        raise InputError(
            "effects of each position compare positions by their number, so pairs must have one length, got lengths "
            f"{', '.join(map(str, lengths))}; patch all positions, or give pairs of one length"
        )
    return lengths[0]


def _numbers(metrics: Tensor) -> Float64[np.ndarray, "..."]:
    return metrics.double().cpu().numpy()
