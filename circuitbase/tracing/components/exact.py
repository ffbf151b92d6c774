"""Exact activation patching by edge: each edge alone carries what its source writes when ablated.

The receiver reads `in_v + (z'_u − z_u)`, a head with its other two inputs clean, and alone is recomputed; the change
of its write is added to the stream, and the rest of the model runs on. Heads under a norm after attention share
its denominator, so they are summed first and the norm is taken then. One run per edge: for small models.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.contrast import Contrast
from circuitbase.tracing.components.method_result import Found
from circuitbase.tracing.components.running import Site, run

SEQUENCES_AT_ONCE = 256


@dataclass(frozen=True)
class _Rows:
    """Some sources of a batch: one sequence for each pair and source, pair by pair."""

    sources: slice
    change: Float[Tensor, "row position d_model"]
    of_pair: Callable[[Tensor], Tensor]


@torch.no_grad()
def exact(contrast: Contrast, options: AttributionOptions) -> Found:
    """Returns for each edge the metric on the clean prompt minus that with the edge patched."""
    model, graph = contrast.model, contrast.model.graph
    clean, kept = contrast.clean_metric(), _clean_run(contrast)
    scores = contrast.difference.new_zeros(len(clean), graph.n_sources, graph.n_receivers)

    def put(rows: _Rows, receiver: int, logits: Tensor) -> None:
        times = rows.sources.stop - rows.sources.start
        scores[:, rows.sources, receiver] = clean[:, None] - contrast.measure_repeated(logits, times=times)

    for layer in range(graph.n_layers):
        for rows in _rows(contrast, graph.before_heads(layer)):
            for port in (Port.Q, Port.K, Port.V):
                for head, logits in _patched_heads(contrast, kept, rows, layer, port):
                    put(rows, graph.port(layer, head, port), logits)
        for rows in _rows(contrast, graph.before_mlp(layer)):
            put(rows, graph.mlp_input(layer), _patched_mlp(contrast, kept, rows, layer))
    for rows in _rows(contrast, graph.n_sources):
        read_at = rows.of_pair(contrast.batch.read_at)
        place = torch.arange(len(read_at), device=read_at.device)
        final = rows.of_pair(kept[Site.LOGITS_INPUT, graph.n_layers]) + rows.change[place, read_at]
        put(rows, graph.logits, model.logits(final))
    return Found(scores)


def _clean_run(contrast: Contrast) -> dict[tuple[Site, int], Tensor]:
    kept: dict[tuple[Site, int], Tensor] = {}

    def keep(site: Site, layer: int, x: Tensor) -> Tensor:
        kept[site, layer] = x
        return x

    run(contrast.model, contrast.embedding.stream, edit=keep, read_at=contrast.batch.read_at)
    return kept


def _rows(contrast: Contrast, n_sources: int) -> Iterator[_Rows]:
    at_once = max(1, SEQUENCES_AT_ONCE // len(contrast.batch.pairs))
    for first in range(0, n_sources, at_once):
        sources = slice(first, min(n_sources, first + at_once))
        change = -contrast.difference[:, :, sources].transpose(1, 2)
        times = change.shape[1]
        yield _Rows(sources, change.flatten(0, 1), lambda x, times=times: x.repeat_interleave(times, dim=0))  # type: ignore[misc]


def _patched_heads(
    contrast: Contrast, kept: dict[tuple[Site, int], Tensor], rows: _Rows, layer: int, port: Port
) -> Iterator[tuple[int, Float[Tensor, "row token"]]]:
    """Yields each head with the logits after a change of its queries', keys' or values' input alone."""
    attention = contrast.model.attention[layer]
    project = {Port.Q: attention.queries, Port.K: attention.keys, Port.V: attention.values}[port]
    stream = rows.of_pair(kept[Site.RESID_PRE, layer])
    changed = project(stream + rows.change)
    vectors = {
        Port.Q: rows.of_pair(kept[Site.QUERY, layer]),
        Port.K: rows.of_pair(kept[Site.KEY, layer]),
        Port.V: rows.of_pair(kept[Site.VALUE, layer]),
    }
    for head in range(attention.n_heads):
        mine = vectors[port].clone()
        mine[:, :, head] = changed[:, :, head]
        given = {**vectors, port: mine}
        mixed = attention.attended(given[Port.Q], given[Port.K], given[Port.V]).mixed
        yield head, _behind_attention(contrast, kept, rows, layer, attention.written(mixed))


def _behind_attention(
    contrast: Contrast,
    kept: dict[tuple[Site, int], Tensor],
    rows: _Rows,
    layer: int,
    written: Float[Tensor, "row position d_model"],
) -> Float[Tensor, "row token"]:
    """Returns the logits after attention has written something else, the rest of the model running on."""
    model = contrast.model
    x = rows.of_pair(kept[Site.RESID_PRE, layer]) + written
    x = x + (rows.of_pair(kept[Site.MLP, layer]) if model.parallel else model.mlps[layer].written(x))
    return run(model, x, start=layer + 1, read_at=rows.of_pair(contrast.batch.read_at))


def _patched_mlp(
    contrast: Contrast, kept: dict[tuple[Site, int], Tensor], rows: _Rows, layer: int
) -> Float[Tensor, "row token"]:
    """Returns the logits after a change of an MLP's input alone."""
    model = contrast.model
    written = model.mlps[layer].written(rows.of_pair(kept[Site.MLP_INPUT, layer]) + rows.change)
    x = rows.of_pair(kept[Site.RESID_POST, layer] - kept[Site.MLP, layer]) + written
    return run(model, x, start=layer + 1, read_at=rows.of_pair(contrast.batch.read_at))
