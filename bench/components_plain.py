"""Edge attribution patching as it is plainly written: one hook per node on the Hugging Face module.

Each head's write is taken before the output projection and multiplied by its own weight; each query, key and value
of each head reads a copy of the stream through the norm, whose gradient meets all earlier writes in a hook.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from circuitbase.tracing.components.component_graph import ComponentGraph
from circuitbase.tracing.components.pairs import Pair

PORTS = 3


def plain_eap(module: Any, pairs: Sequence[Pair]) -> Tensor:
    """Returns the scores [pair, source, receiver] of edge attribution patching by the logit difference."""
    config = module.config
    graph = ComponentGraph(config.n_layer, config.n_head)
    clean, corrupted = (torch.tensor([getattr(pair, side) for pair in pairs]) for side in ("clean", "corrupted"))
    difference = torch.zeros(*clean.shape, graph.n_sources, config.n_embd)
    scores = torch.zeros(len(pairs), graph.n_sources, graph.n_receivers)
    for tokens, sign in ((corrupted, -1.0), (clean, 1.0)):
        with torch.no_grad(), _writes_seen(module, graph, difference, sign):
            module(input_ids=tokens, use_cache=False, logits_to_keep=1)
    with _gradients_met(module, graph, difference, scores):
        embeddings = module.transformer.wte(clean).requires_grad_()
        logits = module(inputs_embeds=embeddings, use_cache=False, logits_to_keep=1).logits[:, -1]
        rows = torch.arange(len(pairs))
        correct, wrong = ([getattr(pair, side)[0] for pair in pairs] for side in ("correct", "wrong"))
        (logits[rows, correct] - logits[rows, wrong]).sum().backward()
    return scores


@contextmanager
def _writes_seen(module: Any, graph: ComponentGraph, difference: Tensor, sign: float) -> Iterator[None]:
    width = module.config.n_embd // graph.n_heads
    handles = [module.transformer.wte.register_forward_hook(_adds(difference, 0, sign))]
    for layer, block in enumerate(module.transformer.h):
        for head in range(graph.n_heads):
            handles.append(
                block.attn.c_proj.register_forward_hook(
                    _adds(difference, graph.head(layer, head), sign, mine=slice(head * width, (head + 1) * width))
                )
            )
        handles.append(block.mlp.register_forward_hook(_adds(difference, graph.mlp(layer), sign)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _adds(difference: Tensor, source: int, sign: float, mine: slice | None = None) -> Any:
    """Returns the hook that adds what a node writes; of a head, its own part of the joined values, projected."""

    def hook(part: Any, given: tuple[Tensor, ...], result: Tensor) -> None:
        written = result if mine is None else given[0][..., mine] @ part.weight[mine]
        difference[:, :, source] += sign * written

    return hook


@contextmanager
def _gradients_met(module: Any, graph: ComponentGraph, difference: Tensor, scores: Tensor) -> Iterator[None]:
    """Splits the inputs of receivers, and adds the products of their gradients and all earlier writes to scores."""

    def meets(receiver: int, n_sources: int) -> Any:
        def hook(gradient: Tensor) -> None:
            scores[:, :n_sources, receiver] += torch.einsum("btsd,btd->bs", difference[:, :, :n_sources], gradient)

        return hook

    def split_heads(layer: int, block: Any) -> list[Any]:
        n_sources, split = graph.before_heads(layer), []

        def at_norm(norm: Any, given: tuple[Tensor, ...], _result: Tensor) -> None:
            split.clear()
            for receiver in range(PORTS * graph.n_heads):
                mine = given[0].view_as(given[0])
                mine.register_hook(meets(graph.port(layer, 0, 1) + receiver, n_sources))
                split.append(functional.layer_norm(mine, norm.normalized_shape, norm.weight, norm.bias, norm.eps))

        def at_projection(projection: Any, _given: tuple[Tensor, ...], _result: Tensor) -> Tensor:
            width = projection.weight.shape[1] // len(split)
            parts = [slice(place * width, (place + 1) * width) for place in range(len(split))]
            of_heads = zip(split, parts, strict=True)
            return torch.cat([x @ projection.weight[:, mine] + projection.bias[mine] for x, mine in of_heads], dim=-1)

        return [block.ln_1.register_forward_hook(at_norm), block.attn.c_attn.register_forward_hook(at_projection)]

    def copied(receiver: int, n_sources: int) -> Any:
        def hook(_norm: Any, given: tuple[Tensor, ...]) -> tuple[Tensor]:
            mine = given[0].view_as(given[0])
            mine.register_hook(meets(receiver, n_sources))
            return (mine,)

        return hook

    handles = []
    for layer, block in enumerate(module.transformer.h):
        handles += split_heads(layer, block)
        handles.append(block.ln_2.register_forward_pre_hook(copied(graph.mlp_input(layer), graph.before_mlp(layer))))
    handles.append(module.transformer.ln_f.register_forward_pre_hook(copied(graph.logits, graph.n_sources)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
