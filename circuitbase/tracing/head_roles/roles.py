"""The roles a head can have, their scores, and what the scores rest on. Imports no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from jaxtyping import Float64


class Role(StrEnum):
    """A role of attention heads; the value is the name of the property that holds its score."""

    PREVIOUS_TOKEN = "previous_token"
    DUPLICATE_TOKEN = "duplicate_token"
    INDUCTION = "induction"
    COPYING = "copying"
    NAME_MOVER = "name_mover"
    S_INHIBITION = "s_inhibition"
    SUCCESSOR = "successor"
    POSITIONAL = "positional"


DEFINITIONS: Mapping[Role, str] = {
    Role.PREVIOUS_TOKEN: "mean attention to the position before, on random tokens that are repeated",
    Role.DUPLICATE_TOKEN: "mean attention from a token's second occurrence to its first",
    Role.INDUCTION: "mean attention from a token's second occurrence to the position behind its first",
    Role.COPYING: "sum of the OV circuit's eigenvalues over the sum of their sizes, real parts above",
    Role.NAME_MOVER: "mean over prompts of attention from the last position to the answer, times what the head adds to "
    "the answer's logit difference where it adds, over the largest such mean addition of any head",
    Role.S_INHIBITION: "change of the name movers' attention to the answer when their queries alone read the head's "
    "corrupted write, over its change when they read the corrupted residual stream",
    Role.SUCCESSOR: "share of the tokens of ordered lists whose successor the OV circuit raises most of its list",
    Role.POSITIONAL: "share of the variance of attention over random prompts and keys that positions alone explain",
}

BOUNDS: Mapping[Role, float] = {
    Role.PREVIOUS_TOKEN: 0.4,
    Role.DUPLICATE_TOKEN: 0.4,
    Role.INDUCTION: 0.4,
    Role.COPYING: 0.7,
    Role.NAME_MOVER: 0.2,
    Role.S_INHIBITION: 0.1,
    Role.SUCCESSOR: 0.5,
    Role.POSITIONAL: 0.5,
}


@dataclass(frozen=True)
class RoleScores:
    """Every head's score for one role; NaN where it could not be measured.

    `parts` are further numbers of each head that the score rests on, `measured_on` says on what: data, counts,
    seeds, and where nothing could be measured, why.
    """

    score: Float64[np.ndarray, "layer head"]
    parts: Mapping[str, Float64[np.ndarray, "layer head"]]
    measured_on: Mapping[str, Any]


@dataclass(frozen=True)
class HeadRoles:
    """The scores of all heads of a model and the bounds above which a head has a role."""

    scores: Mapping[Role, RoleScores]
    bounds: Mapping[Role, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Returns the numbers of layers and of heads a layer."""
        n_layers, n_heads = next(iter(self.scores.values())).score.shape
        return n_layers, n_heads

    def score(self, role: Role, *, layer: int, head: int) -> float | None:
        """Returns a head's score for a role; None where it was not measured."""
        if role not in self.scores:
            return None
        found = float(self.scores[role].score[layer, head])
        return None if np.isnan(found) else found

    def roles(self, *, layer: int, head: int) -> list[Role]:
        """Returns the roles whose score is above their bound, in the order of `Role`."""
        scores = {role: self.score(role, layer=layer, head=head) for role in Role}
        return [role for role, found in scores.items() if found is not None and found > self.bounds[role]]

    def evidence(self, *, layer: int, head: int) -> dict[str, dict[str, Any]]:
        """Returns, for each role, its definition, what it was measured on, its bound and the head's numbers."""
        return {
            role.value: {
                "definition": DEFINITIONS[role],
                "bound": self.bounds[role],
                "score": self.score(role, layer=layer, head=head),
                **{name: _number(values[layer, head]) for name, values in found.parts.items()},
                **found.measured_on,
            }
            for role, found in self.scores.items()
        }


def _number(value: np.float64) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)
