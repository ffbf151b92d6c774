"""The short form of a unit that people read; `schema/identity.py` has the ids."""

import json

from circuitbase.schema.identity import layer_label
from circuitbase.schema.kinds import NodeKind, Port


def unit_name(kind: NodeKind, *, layer: int, index: int, text: str | None) -> str:
    """Returns a name such as `L05/F01234`, `in " Paris"` or `answer-distractor`.

    `text` is the token of a token unit and the role of a role output; other kinds have none.
    """
    match kind:
        case NodeKind.INPUT_TOKEN:
            return f"in {_quoted(text)}"
        case NodeKind.OUTPUT_TOKEN:
            return f"out {_quoted(text)}"
        case NodeKind.OTHER_OUTPUT:
            return text or "output"
        case NodeKind.FEATURE:
            return f"{layer_label(layer)}/F{index:05d}"
        case NodeKind.LAYER_ERROR:
            return f"{layer_label(layer)}/error"
        case NodeKind.HEAD:
            return f"{layer_label(layer)}/head/{index}"
        case NodeKind.ATTENTION_LINK:
            return f"{layer_label(layer)}/head/{index}/link"
        case NodeKind.MLP:
            return f"{layer_label(layer)}/mlp"
        case NodeKind.NEURON:
            return f"{layer_label(layer)}/neuron/{index}"


def input_name(name: str, port: int) -> str:
    """Returns the name of a unit's input that an edge enters, such as `L01/head/2<q>`; a port of 0 has none."""
    return f"{name}<{Port(port).name.lower()}>" if port else name


def _quoted(text: str | None) -> str:
    return json.dumps(text or "", ensure_ascii=False)
