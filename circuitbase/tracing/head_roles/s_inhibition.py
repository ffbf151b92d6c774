"""Heads that tell the name movers where not to look.

By path patching (Wang et al. 2022): on a prompt and its corrupted one, after which another name is right, a head's
write into the residual stream is replaced by the one of the corrupted prompt, but only where the queries of the name
movers read it at the last position; their keys and all else stay. With A(m, i | ...) the attention of name mover m
from prompt i's last position to the answer of the clean prompt, and w(m) its name mover score:

    score(h) = Σ w(m) [A(m, i) - A(m, i | h's write corrupted)]  /  Σ w(m) [A(m, i) - A(m, i | all they read corrupted)]

over name movers and prompts; a head that does not lie before a mover leaves it as it is. The paths are direct: no
MLP or head between is computed anew. Attention is not linear in what is written, so the scores of all heads need not
add up to 1, and one may lie below 0 or above 1. Where corrupting all that the queries read changes the attention by
less than `smallest_change` on average, the movers do not choose by their queries, and nothing is measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt, at_answers, batches, token_ids
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.roles import Role, RoleScores

BATCH_SIZE = 16


def s_inhibition(
    model: ComponentModel, prompts: Sequence[AnswerPrompt], movers: RoleScores, options: HeadRoleOptions
) -> RoleScores:
    """Returns each head's share of the change of the name movers' attention; NaN for all where it is not measured.

    The name movers are the heads whose score in `movers` is above its bound; prompts without a corrupted one, or
    that do not show their answer, are left out.
    """
    used = [prompt for prompt in prompts if prompt.corrupted is not None and prompt.shows_answer]
    found = [
        (int(layer), int(head))
        for layer, head in zip(*np.nonzero(movers.score > options.bounds[Role.NAME_MOVER]), strict=True)
    ]
    measured_on: dict[str, Any] = {
        "data": "prompts with an answer, and their corrupted ones",
        "prompts": len(used),
        "left_out": len(prompts) - len(used),
        "name_movers": [f"a{layer}.h{head}" for layer, head in found],
    }
    if not used or not found:
        return _nothing(model, measured_on, "no prompt has a corrupted one" if not used else "no head is a name mover")
    weights = np.array([movers.score[place] for place in found])
    by_head = np.zeros((model.n_layers, model.n_heads, len(found)))
    whole = np.zeros(len(found))
    for batch in batches(used, batch_size=BATCH_SIZE):
        change = _changes(model, batch, found)
        by_head += change.by_head
        whole += change.whole
    moved = float(whole @ weights / weights.sum() / len(used))
    measured_on["change"] = round(moved, 6)
    if abs(moved) < options.smallest_change:
        return _nothing(model, measured_on, "corrupted queries leave the attention of the name movers as it is")
    return RoleScores(
        score=by_head @ weights / (whole @ weights),
        parts={"attention_change": by_head @ weights / weights.sum() / len(used)},
        measured_on=measured_on,
    )


def _nothing(model: ComponentModel, measured_on: dict[str, Any], why: str) -> RoleScores:
    nothing = np.full((model.n_layers, model.n_heads), np.nan)
    return RoleScores(nothing, parts={}, measured_on={**measured_on, "not_measured": why})


@dataclass(frozen=True)
class _Change:
    """Sums over prompts of what the name movers' attention to the answer loses, by the head that is corrupted."""

    by_head: Float64[np.ndarray, "layer head mover"]
    whole: Float64[np.ndarray, " mover"]


@torch.no_grad()
def _changes(model: ComponentModel, prompts: Sequence[AnswerPrompt], movers: Sequence[tuple[int, int]]) -> _Change:
    clean = _clean_or_corrupted(model, token_ids(prompts))
    corrupted = _clean_or_corrupted(model, torch.tensor([prompt.corrupted for prompt in prompts]))
    by_head = np.zeros((model.n_layers, model.n_heads, len(movers)))
    whole = np.zeros(len(movers))
    for layer in sorted({layer for layer, _ in movers}):
        places = [place for place, (of, _) in enumerate(movers) if of == layer]
        heads = [movers[place][1] for place in places]
        stream = clean.streams[layer]
        last = stream[:, -1]
        before = _looked(model, prompts, layer=layer, stream=stream, last=last)
        other = _looked(model, prompts, layer=layer, stream=stream, last=corrupted.streams[layer][:, -1])
        whole[places] = (before - other)[heads]
        for sending in range(layer):
            changes = (corrupted.writes[sending] - clean.writes[sending]).to(last)
            for head in range(model.n_heads):
                after = _looked(model, prompts, layer=layer, stream=stream, last=last + changes[:, head])
                by_head[sending, head, places] = (before - after)[heads]
    return _Change(by_head, whole)


def _looked(
    model: ComponentModel,
    prompts: Sequence[AnswerPrompt],
    *,
    layer: int,
    stream: Float[Tensor, "batch position d_model"],
    last: Float[Tensor, "batch d_model"],
) -> Float64[np.ndarray, " head"]:
    """Returns the attention to the answers, summed over prompts, when the last position's queries read `last`."""
    attention = model.attention[layer]
    asking = torch.cat((stream[:, :-1], last[:, None]), dim=1)
    scores = attention.scores(attention.queries(asking), attention.keys(stream))[:, :, -1]
    found: Float64[np.ndarray, " head"] = (
        at_answers(torch.softmax(scores, dim=-1), prompts).double().sum(0).cpu().numpy()
    )
    return found


@dataclass(frozen=True)
class _Run:
    """Of each layer the residual stream before it and what its heads write at the last position."""

    streams: list[Float[Tensor, "batch position d_model"]]
    writes: list[Float[Tensor, "batch head d_model"]]


def _clean_or_corrupted(model: ComponentModel, tokens: Int[Tensor, "batch position"]) -> _Run:
    found = _Run([], [])

    def kept(site: Site, layer: int, x: Tensor) -> Tensor:
        if site == Site.RESID_PRE:
            found.streams.append(x)
        elif site == Site.MIXED:
            found.writes.append(model.attention[layer].head_writes(x).heads[:, -1])
        return x

    stream = model.embedded(tokens).stream
    run(model, stream, edit=kept, read_at=torch.zeros(len(tokens), dtype=torch.int64, device=stream.device))
    return found
