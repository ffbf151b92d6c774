"""Heads that raise what comes next: from Monday to Tuesday, from 7 to 8.

For each token but the last of each ordered list, the head's OV circuit (`ov_circuit`) gives a logit to every token of
that list; the score is the share of these tokens whose successor gets the largest one (Gould et al. 2023, who look
at the same lists). Lists count by their tokens. A head that copies gets 0, weights without order about
one over the list's length.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64

from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.head_roles.options import HeadRoleOptions
from circuitbase.tracing.head_roles.ordered_lists import OrderedList
from circuitbase.tracing.head_roles.ov_circuit import ov_circuits, read_tokens
from circuitbase.tracing.head_roles.roles import RoleScores


def successor(model: ComponentModel, lists: Sequence[OrderedList], options: HeadRoleOptions) -> RoleScores:
    """Returns each head's share of successors that it raises most; NaN for all where there is no list.

    `itself` is the share of tokens that it raises most themselves.
    """
    shape = (model.n_layers, model.n_heads)
    if not lists:
        nothing = np.full(shape, np.nan)
        return RoleScores(nothing, parts={}, measured_on={"data": "the vocabulary holds no ordered list", "lists": []})
    raised = [_most_raised(model, each, options) for each in lists]
    asked = sum(len(each.tokens) - 1 for each in lists)
    hits = [[(most == np.arange(most.shape[-1]) + ahead).sum(-1) for most in raised] for ahead in (1, 0)]
    chance = sum((len(each.tokens) - 1) / len(each.tokens) for each in lists) / asked
    return RoleScores(
        score=np.sum(hits[0], axis=0) / asked,
        parts={
            "itself": np.sum(hits[1], axis=0) / asked,
            **{
                f"list_{number}": found / (len(each.tokens) - 1)
                for number, (each, found) in enumerate(zip(lists, hits[0], strict=True))
            },
        },
        measured_on={
            "data": "weights",
            "lists": [{"name": each.name, "tokens": len(each.tokens)} for each in lists],
            "chance": round(chance, 4),
            "through_first_mlp": options.through_first_mlp,
        },
    )


@torch.no_grad()
def _most_raised(
    model: ComponentModel, ordered: OrderedList, options: HeadRoleOptions
) -> Int64[np.ndarray, "layer head token"]:
    """Returns, for each token but the last, the place in the list of the token that each head raises most."""
    read = read_tokens(model, torch.tensor(ordered.tokens), through_first_mlp=options.through_first_mlp)
    found = []
    for layer in range(model.n_layers):
        circuits = ov_circuits(model, read, layer=layer)
        written = circuits.read[:-1] @ circuits.W_V @ circuits.W_O
        found.append((written @ circuits.directions.T).argmax(-1).cpu())
    return torch.stack(found).numpy()
