"""Where an integral from 0 (ablated) to 1 (clean) is looked at, and how much each place counts."""

from dataclasses import dataclass

import numpy as np

from circuitbase.tracing.components.attribution_options import Rule


@dataclass(frozen=True)
class Nodes:
    """Places in [0, 1] and their weights, which sum to 1."""

    places: tuple[float, ...]
    weights: tuple[float, ...]


def nodes(rule: Rule, steps: int) -> Nodes:
    """Returns the nodes of a rule with so many steps.

    `left` looks at k/steps for k = 0 .. steps−1 (as EAP-IG does on inputs), `right` for k = 1 .. steps (as it does
    on activations), `midpoint` halfway between; `gauss` are Gauss-Legendre nodes, exact for polynomials up to
    degree 2·steps − 1.
    """
    if rule == "gauss":
        places, weights = np.polynomial.legendre.leggauss(steps)
        return Nodes(tuple(((places + 1) / 2).tolist()), tuple((weights / 2).tolist()))
    shift = {"left": 0.0, "midpoint": 0.5, "right": 1.0}[rule]
    return Nodes(tuple((step + shift) / steps for step in range(steps)), (1 / steps,) * steps)
