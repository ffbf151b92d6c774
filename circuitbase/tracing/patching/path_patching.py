"""Path patching: a change of some components is given to chosen receivers alone (Wang et al. 2022, section 3.1).

With senders S and receiver v, `in_v` becomes `in_v + Σ_S (z'_u − z_u)`, all other components' outputs being
what they were; the norm at v is recomputed, and so is everything behind v.
"""

from collections.abc import Collection, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Edit, Site, run
from circuitbase.tracing.patching.activation_patching import ROWS
from circuitbase.tracing.patching.directions import Direction
from circuitbase.tracing.patching.paired import PairedPrompts
from circuitbase.tracing.patching.receivers import Receiver, check_senders, receivers
from circuitbase.tracing.patching.seen_run import SeenRun, seen_run

_SEEN = (Site.RESID_PRE, Site.MIXED, Site.ATTENTION, Site.MLP, Site.MLP_INPUT, Site.LOGITS_INPUT)
_INPUTS = {Site.QUERY_INPUT: Port.Q, Site.KEY_INPUT: Port.K, Site.VALUE_INPUT: Port.V}


@torch.no_grad()
def path_patched_metrics(
    model: ComponentModel,
    pairs: PairedPrompts,
    senders: Sequence[Collection[str]],
    to: Sequence[str],
    *,
    direction: Direction,
    recompute_mlps: bool = False,
    rows: int = ROWS,
) -> Float[Tensor, "sender pair"]:
    """Returns the metric with each set of senders patched into the receivers `to`.

    Names are those of `ComponentGraph`. Of several receivers each is given its own change at once, and none sees
    what another makes of it before it. With `recompute_mlps` MLPs between senders and receivers answer to what
    they are given, so that paths through them count too. Heads of a layer with a norm behind it are changed
    together before that norm. Raises InputError for names that the model does not have.
    """
    reached = receivers(model, to)
    check_senders(model, [name for group in senders for name in group], to=reached)
    base, other = (
        seen_run(model, embedding.stream, sites=_SEEN, read_at=pairs.read_at)
        for embedding in (pairs.base(direction), pairs.other(direction))
    )
    masks = torch.tensor(
        [[name in group for name in model.graph.source_names] for group in senders], device=pairs.read_at.device
    )
    together = max(1, rows // pairs.n_pairs)
    found = [
        _patched(
            model, pairs, masks[first : first + together], reached, base=base, other=other, recompute=recompute_mlps
        )
        for first in range(0, len(senders), together)
    ]
    return torch.cat(found)


def _patched(
    model: ComponentModel,
    pairs: PairedPrompts,
    masks: Bool[Tensor, "sender source"],
    reached: Sequence[Receiver],
    *,
    base: SeenRun,
    other: SeenRun,
    recompute: bool,
) -> Float[Tensor, "sender pair"]:
    n_sets, start = len(masks), min(found.layer for found in reached)
    changes = _stream_changes(model, masks, base=base, other=other, recompute=recompute)
    if start == model.n_layers:
        rows = torch.arange(pairs.n_pairs, device=masks.device)
        change = changes[Site.LOGITS_INPUT, start][:, rows, pairs.read_at]
        logits = model.logits(base.values[Site.LOGITS_INPUT, start] + change).flatten(0, 1)
    else:
        logits = run(
            model,
            base.values[Site.RESID_PRE, start].repeat(n_sets, 1, 1),
            edit=_receiving(reached, changes, base=base),
            start=start,
            read_at=pairs.read_at.repeat(n_sets),
        )
    return pairs.metric(logits, pairs.numbers.repeat(n_sets)).unflatten(0, (n_sets, pairs.n_pairs))


def _stream_changes(
    model: ComponentModel, masks: Bool[Tensor, "sender source"], *, base: SeenRun, other: SeenRun, recompute: bool
) -> dict[tuple[Site, int], Float[Tensor, "sender pair position d_model"]]:
    """Returns what the senders change of the stream that heads, MLPs and logits read, by (site, layer)."""
    graph = model.graph
    here, there = base.values, other.values

    def where(source: int | slice, value: Tensor, otherwise: Tensor) -> Tensor:
        mask = masks[:, source]
        return torch.where(mask.reshape(len(masks), 1, 1, -1, *(1,) * (value.dim() - 3)), value, otherwise)

    change = where(0, there[Site.RESID_PRE, 0] - here[Site.RESID_PRE, 0], torch.zeros_like(here[Site.RESID_PRE, 0]))
    found = {}
    for layer, (attention, mlp) in enumerate(zip(model.attention, model.mlps, strict=True)):
        found[Site.RESID_PRE, layer] = change
        heads = slice(graph.head(layer, 0), graph.mlp(layer))
        mixed = where(heads, there[Site.MIXED, layer], here[Site.MIXED, layer])
        written = attention.written(mixed.flatten(0, 1)).unflatten(0, mixed.shape[:2])
        behind = change + written - here[Site.ATTENTION, layer]
        found[Site.MLP_INPUT, layer] = change if model.parallel else behind
        clean = here[Site.MLP, layer]
        kept = mlp.written(here[Site.MLP_INPUT, layer] + found[Site.MLP_INPUT, layer]) if recompute else clean
        change = behind + where(graph.mlp(layer), there[Site.MLP, layer], kept) - clean
    found[Site.LOGITS_INPUT, model.n_layers] = change
    return found


def _receiving(
    reached: Sequence[Receiver],
    changes: dict[tuple[Site, int], Float[Tensor, "sender pair position d_model"]],
    *,
    base: SeenRun,
) -> Edit:
    """Returns an edit that gives every receiver its clean input with the senders' change."""

    def edit(site: Site, layer: int, x: Tensor) -> Tensor:
        port = _INPUTS.get(site, Port.NONE)
        if site not in (*_INPUTS, Site.MLP_INPUT) or not any(r.layer == layer and r.port == port for r in reached):
            return x
        at = Site.MLP_INPUT if port == Port.NONE else Site.RESID_PRE
        given = (base.values[at, layer] + changes[at, layer]).flatten(0, 1)
        if port == Port.NONE:
            return given
        heads = [found.head for found in reached if found.layer == layer and found.port == port]
        return _for_heads(x, given, heads=heads, n_heads=base.values[Site.MIXED, layer].shape[2])

    return edit


def _for_heads(
    x: Float[Tensor, "batch position d_model"],
    given: Float[Tensor, "batch position d_model"],
    *,
    heads: Sequence[int | None],
    n_heads: int,
) -> Float[Tensor, "batch position head d_model"]:
    """Returns a stream of its own for each head: `given` for some, `x` for the others."""
    each = x[:, :, None].repeat(1, 1, n_heads, 1)
    each[:, :, heads] = given[:, :, None]
    return each
