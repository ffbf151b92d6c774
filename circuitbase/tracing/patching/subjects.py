"""What was changed in an intervention, in words that tables, pictures and the database share."""

from dataclasses import dataclass

from circuitbase.schema.kinds import Port
from circuitbase.tracing.patching.places import Place
from circuitbase.tracing.patching.receivers import Receiver


@dataclass(frozen=True)
class Subject:
    """Something that was changed: places, or components given by name; `layer` is the first of `layers`.

    `components` are the heads and MLPs among them, as (layer, head; None: the MLP); `reaches` the receivers that
    alone were given the change. Residual streams and the input belong to no component.
    """

    name: str
    kind: str
    layer: int | None = None
    layers: int | None = None
    head: int | None = None
    position: int | None = None
    components: tuple[tuple[int, int | None], ...] = ()
    reaches: tuple[Receiver, ...] = ()


def subject_of_place(place: Place, *, n_heads: int) -> Subject:
    """Returns what a patched place is."""
    layers = range(place.layer, place.last_layer + 1)
    if place.site.by_head:
        heads = range(n_heads) if place.head is None else (place.head,)
        components: tuple[tuple[int, int | None], ...] = tuple((layer, head) for layer in layers for head in heads)
    else:
        components = tuple((layer, None) for layer in layers) if place.site.kind == "mlp" else ()
    return Subject(place.name, place.site.kind, place.layer, place.layers, place.head, place.position, components)


def subject_of_names(names: tuple[str, ...], *, to: tuple[Receiver, ...] = ()) -> Subject:
    """Returns what components changed at once are: `a1.h0`, `m2` or `input`."""
    components = tuple(_component(name) for name in names if name != "input")
    kinds = {"input" if name == "input" else "mlp" if name.startswith("m") else "head" for name in names}
    reached = f"->{'+'.join(receiver.name for receiver in to)}" if to else ""
    one = components[0] if len(names) == 1 and components else (None, None)
    return Subject(
        name=f"{'+'.join(names)}{reached}",
        kind="+".join(sorted(kinds)),
        layer=one[0],
        layers=None if one[0] is None else 1,
        head=one[1],
        components=components,
        reaches=to,
    )


def _component(name: str) -> tuple[int, int | None]:
    layer, _, head = name[1:].partition(".h")
    return int(layer), int(head) if head else None


def port_letter(port: Port) -> str | None:
    """Returns q, k or v; None for what has no port."""
    return None if port == Port.NONE else port.name.lower()
