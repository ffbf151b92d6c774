"""The virtual weights of the shown edges between features, for `circuit --model --dictionary`."""

import re
from typing import TYPE_CHECKING

from circuitbase.cli.models import resolve_dictionary, resolve_model
from circuitbase.errors import InputError

if TYPE_CHECKING:
    from circuitbase.queries.circuit import CircuitEdge

_FEATURE = re.compile(r"(?P<dictionary>.+)/[^/]+/L(?P<layer>\d+)/F(?P<index>\d+)")


def virtual_columns(edges: "tuple[CircuitEdge, ...]", *, model: str, dictionary: str) -> "dict[tuple[str, str], float]":
    """Returns V by (source id, target id) of the edges whose ends are features of the dictionary.

    Raises InputError for features of another model or dictionary.
    """
    from circuitbase.queries.relabelling import unit_and_role
    from circuitbase.tracing.dictionaries import load_dictionary
    from circuitbase.tracing.models import load_model
    from circuitbase.tracing.virtual_weights import FeaturePair, virtual_weights

    loaded = load_model(resolve_model(model))
    features = load_dictionary(resolve_dictionary(dictionary), model=loaded)
    found = {}
    for edge in edges:
        ends = [_FEATURE.fullmatch(unit_and_role(end)[0]) for end in (edge.source, edge.target)]
        if ends[0] is None or ends[1] is None:
            continue
        for end in ends:
            assert end is not None
            if end["dictionary"] != features.identity.id:
                raise InputError(
                    f"the circuit's features are those of {end['dictionary']}, but --model and --dictionary give "
                    f"{features.identity.id}; name those that were traced"
                )
        source, target = ((int(end["layer"]), int(end["index"])) for end in ends if end is not None)
        found[edge.source, edge.target] = FeaturePair(source, target)
    values = virtual_weights(loaded, features, list(found.values())).tolist()
    return dict(zip(found, values, strict=True))
