"""Knockouts: heads and MLPs held at their mean over a set of prompts, alone or several at once."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.batches import prompt_batches
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site
from circuitbase.tracing.patching.activation_patching import ROWS, Values, metrics_with
from circuitbase.tracing.patching.paired import PairedPrompts
from circuitbase.tracing.patching.patch_site import PatchSite
from circuitbase.tracing.patching.places import Place
from circuitbase.tracing.patching.seen_run import seen_run

_SITES = (Site.MIXED, Site.MLP)


def component_means(
    model: ComponentModel, prompts: Sequence[tuple[int, ...]], *, by_position: bool, batch_size: int
) -> Values:
    """Returns the means of every head's mixed values and every MLP's write over a set of prompts (token ids).

    With `by_position` there is one for each position, [1, position, ...], which needs prompts of one length; else
    one over all positions, [1, 1, ...]. Raises InputError for lengths that cannot be compared.
    """
    lengths = sorted({len(prompt) for prompt in prompts})
    if not lengths:
        raise InputError("a mean needs at least one prompt to be over, got none")
    if by_position and len(lengths) > 1:
        raise InputError(
            f"means per position need prompts of one length, got lengths {', '.join(map(str, lengths))}; "
            "take the mean over all positions"
        )
    total: dict[tuple[Site, int], Tensor] = {}
    n_places = 0
    for batch in prompt_batches(prompts, batch_size=batch_size, causal=model.causal, device=model.W_U.device):
        found = seen_run(model, model.embedded(batch.tokens).stream, sites=_SITES, read_at=batch.read_at)
        inside = batch.unpadded
        n_places += len(inside) if by_position else int(inside.sum())
        for at, value in found.values.items():
            shown = value.double()
            summed = shown.sum(0, keepdim=True) if by_position else shown[inside].sum(0)[None, None]
            total[at] = summed if at not in total else total[at] + summed
    return {at: (summed / n_places).to(model.W_U.dtype) for at, summed in total.items()}


def knocked_out_metrics(
    model: ComponentModel,
    pairs: PairedPrompts,
    groups: Sequence[Sequence[str]],
    *,
    means: Values,
    rows: int = ROWS,
) -> Float[Tensor, "group pair"]:
    """Returns the metric of the clean prompts with the components of each group held at their means, all at once.

    Components are named `a1.h0` and `m1`. Raises InputError for a name that is neither, and for means per
    position of another length.
    """
    patches = [[component_place(model, name) for name in group] for group in groups]
    n_positions = next(iter(means.values())).shape[1]
    if n_positions not in (1, pairs.n_positions):
        raise InputError(
            f"the means are over prompts of {n_positions} tokens and cannot stand in prompts of {pairs.n_positions}; "
            "take the mean over all positions"
        )
    values = {at: mean.expand(pairs.n_pairs, pairs.n_positions, *mean.shape[2:]) for at, mean in means.items()}
    return metrics_with(model, pairs, patches, into=pairs.clean, values=values, rows=rows)


def component_place(model: ComponentModel, name: str) -> Place:
    """Returns what a head `a1.h0` or an MLP `m1` computes, at all positions; raises InputError for another name."""
    graph = model.graph
    if name not in graph.source_names[1:]:
        raise InputError(
            f"a component is a1.h0 or m1, with layers 0 to {model.n_layers - 1} and heads 0 to {model.n_heads - 1} "
            f"in this model, got {name!r}"
        )
    layer, head = divmod(graph.source_names.index(name) - 1, model.n_heads + 1)
    return Place(PatchSite.MLPS, layer) if head == model.n_heads else Place(PatchSite.HEADS, layer, head)
