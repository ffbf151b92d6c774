"""Heads that move names: at the end of a prompt they look at the answer and add it to the logits.

With `a` the attention of head h from prompt i's last position to the answer (all its positions together), and `d` its
direct effect on the answer's logit difference, which is the head's write at the last position through the final norm
with the denominator it has there, and the unembedding (before any soft cap):

    score(h) = mean over i of  a(h, i) · max(0, d(h, i))   /   max over heads g of  mean over i of  max(0, d(g, i))

It is 1 for a head that looks at the answer alone on all prompts and adds most; 0 for one that never looks there or
never adds (Wang et al. 2022). Prompts in which no answer stands are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.norms import denominator
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.head_roles.answer_prompts import (
    AnswerPrompt,
    answer_directions,
    at_answers,
    batches,
    token_ids,
)
from circuitbase.tracing.head_roles.roles import RoleScores


def name_movers(model: ComponentModel, prompts: Sequence[AnswerPrompt]) -> RoleScores:
    """Returns each head's score; NaN for all where no prompt shows its answer.

    `attention` is the mean of a, `direct_effect` that of d.
    """
    used = [prompt for prompt in prompts if prompt.shows_answer]
    measured_on = {"data": "prompts with an answer", "prompts": len(used), "left_out": len(prompts) - len(used)}
    if not used:
        nothing = np.full((model.n_layers, model.n_heads), np.nan)
        return RoleScores(nothing, parts={}, measured_on={**measured_on, "data": "no prompt shows its answer"})
    found = [_looks_and_adds(model, batch) for batch in batches(used)]
    attention = torch.cat([each.attention for each in found]).double()
    effect = torch.cat([each.effect for each in found]).double()
    added = effect.clamp(min=0)
    most = added.mean(0).max()
    score = (attention * added).mean(0) / most if most > 0 else torch.zeros_like(added[0])
    return RoleScores(
        score=score.numpy(),
        parts={"attention": attention.mean(0).numpy(), "direct_effect": effect.mean(0).numpy()},
        measured_on=measured_on,
    )


@dataclass(frozen=True)
class _LastPosition:
    """What heads do at the last position: their attention to the answer, their direct effect on its logit."""

    attention: Float[Tensor, "batch layer head"]
    effect: Float[Tensor, "batch layer head"]


@torch.no_grad()
def _looks_and_adds(model: ComponentModel, prompts: Sequence[AnswerPrompt]) -> _LastPosition:
    attention: list[Tensor] = []
    writes: list[Tensor] = []
    final: list[Tensor] = []

    def kept(site: Site, layer: int, x: Tensor) -> Tensor:
        if site == Site.PATTERN:
            attention.append(at_answers(x[:, :, -1], prompts).cpu())
        elif site == Site.MIXED:
            writes.append(model.attention[layer].head_writes(x).heads[:, -1])
        elif site == Site.LOGITS_INPUT:
            final.append(x)
        return x

    tokens = token_ids(prompts)
    stream = model.embedded(tokens).stream
    run(model, stream, edit=kept, read_at=torch.full((len(prompts),), tokens.shape[1] - 1, device=stream.device))
    directions = answer_directions(model, prompts).to(final[0])
    if model.final_norm is not None:
        directions = directions / denominator(model.final_norm, final[0])[:, None]
    effects = [torch.einsum("bhd,bd->bh", write.to(directions), directions).cpu() for write in writes]
    return _LastPosition(torch.stack(attention, dim=1), torch.stack(effects, dim=1))
