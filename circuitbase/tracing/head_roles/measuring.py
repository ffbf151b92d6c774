"""All scores of a model's heads, together."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.head_roles.answer_prompts import AnswerPrompt
from circuitbase.tracing.head_roles.copying import copying
from circuitbase.tracing.head_roles.looking_back import looking_back
from circuitbase.tracing.head_roles.name_movers import name_movers
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.ordered_lists import OrderedList
from circuitbase.tracing.head_roles.positional import positional
from circuitbase.tracing.head_roles.random_tokens import TokenPool
from circuitbase.tracing.head_roles.roles import HeadRoles, Role, RoleScores
from circuitbase.tracing.head_roles.s_inhibition import s_inhibition
from circuitbase.tracing.head_roles.successor import successor


def head_roles(
    model: ComponentModel,
    pool: TokenPool,
    *,
    vocabulary: Int[Tensor, " token"],
    lists: Sequence[OrderedList] = (),
    prompts: Sequence[AnswerPrompt] = (),
    options: HeadRoleOptions | None = None,
) -> HeadRoles:
    """Returns every head's scores.

    Random sequences are drawn from `pool`, OV circuits are measured on `vocabulary` (on a seeded choice of
    `options.tokens` of it) and on ordered `lists`. Without `prompts` there are no scores for name movers and
    S-inhibition. Raises InputError for a pool that is too small.
    """
    options = options or HeadRoleOptions()
    scores: dict[Role, RoleScores] = {
        **looking_back(model, pool, options),
        Role.COPYING: copying(model, _chosen(vocabulary, options), options),
        Role.SUCCESSOR: successor(model, lists, options),
        Role.POSITIONAL: positional(model, pool, options),
    }
    if prompts:
        movers = name_movers(model, prompts)
        scores |= {Role.NAME_MOVER: movers, Role.S_INHIBITION: s_inhibition(model, prompts, movers, options)}
    return HeadRoles({role: scores[role] for role in Role if role in scores}, options.bounds)


def _chosen(vocabulary: Int[Tensor, " token"], options: HeadRoleOptions) -> Int[Tensor, " token"]:
    if len(vocabulary) <= options.tokens:
        return vocabulary
    generator = torch.Generator().manual_seed(options.seeds[0])
    return vocabulary[torch.randperm(len(vocabulary), generator=generator)[: options.tokens].sort().values]
