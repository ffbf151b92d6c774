"""What can be given a change in path patching: a head's queries, keys or values, an MLP, the logits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from circuitbase.errors import InputError
from circuitbase.schema.kinds import Port
from circuitbase.tracing.components.component_model import ComponentModel

_HEAD = re.compile(r"a(\d+)\.h(\d+)<([qkv])>")
_MLP = re.compile(r"m(\d+)")
_PORTS = {"q": Port.Q, "k": Port.K, "v": Port.V}


@dataclass(frozen=True)
class Receiver:
    """An input of a component; MLPs and the logits have no port, and the logits the number of layers as layer."""

    layer: int
    head: int | None
    port: Port
    name: str


def receiver(model: ComponentModel, name: str) -> Receiver:
    """Returns the receiver of a name such as `a2.h0<q>`, `m1` or `logits`; raises InputError for any other."""
    if name in model.graph.receiver_names:
        if match := _HEAD.fullmatch(name):
            return Receiver(int(match[1]), int(match[2]), _PORTS[match[3]], name)
        if match := _MLP.fullmatch(name):
            return Receiver(int(match[1]), None, Port.NONE, name)
        return Receiver(model.n_layers, None, Port.NONE, name)
    raise InputError(
        f"a receiver is a2.h0<q>, <k> or <v>, m1 or logits, with layers 0 to {model.n_layers - 1} and heads 0 to "
        f"{model.n_heads - 1} in this model, got {name!r}"
    )


def receivers(model: ComponentModel, names: Sequence[str]) -> tuple[Receiver, ...]:
    """Returns the receivers of these names, each once, by layer; raises InputError for none or wrong ones.

    The logits receive alone: they read everything, so no change of another receiver would be seen behind them.
    """
    found = sorted({receiver(model, name) for name in names}, key=lambda found: (found.layer, found.name))
    if not found:
        raise InputError("path patching needs at least one receiver, such as a2.h0<q> or logits, got none")
    if len(found) > 1 and found[-1].layer == model.n_layers:
        raise InputError("the logits must be the only receiver, since what else receives reaches the metric by them")
    return tuple(found)


def check_senders(model: ComponentModel, names: Sequence[str], *, to: Sequence[Receiver]) -> None:
    """Raises InputError for a name that is no source and for a source that no receiver reads."""
    graph = model.graph
    wrong = sorted(set(names) - set(graph.source_names))
    if wrong:
        raise InputError(
            f"a sender is input, a2.h0 or m1, with layers 0 to {model.n_layers - 1} and heads 0 to "
            f"{model.n_heads - 1} in this model, got {', '.join(map(repr, wrong))}"
        )
    reads = max(int(graph.reads[graph.receiver_names.index(found.name)]) for found in to)
    unread = [name for name in names if graph.source_names.index(name) >= reads]
    if unread:
        raise InputError(
            f"a sender must write before a receiver reads, and {', '.join(found.name for found in to)} "
            f"read{'s' if len(to) == 1 else ''} nothing of {', '.join(unread)}"
        )
