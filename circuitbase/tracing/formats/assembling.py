"""From one layer's dictionary each to a dictionary for all layers, which must agree in everything but their numbers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.stored import Described, FoundLayer, Rule, StoredDictionary

SHOWN = 6  # choices that a sentence lists


def assembled(folder: Path, found: Sequence[FoundLayer], *, files: Iterable[Path] = ()) -> StoredDictionary:
    """Returns the dictionary of layers that were found one by one; `files` are those that all of them share.

    Raises ModelError if a layer has none or several, or if they differ in anything but their weights.
    """
    by_layer: dict[int, list[FoundLayer]] = defaultdict(list)
    for one in found:
        by_layer[one.layer].append(one)
    for layer, several in sorted(by_layer.items()):
        if len(several) > 1:
            raise ModelError(_several(folder, layer, several))
        if several[0].described.kind == "sae_set" and several[0].tensors.W_skip is not None:
            raise ModelError(
                f"{several[0].place} is an SAE with a skip connection, which passes what it reads on unchanged, so its "
                "features stand for no part of it; give one without, or a transcoder"
            )
    if missing := sorted(set(range(max(by_layer))) - set(by_layer)):
        raise ModelError(
            f"{folder} should hold a dictionary for every layer up to {max(by_layer)}, but none is there for layer "
            f"{', '.join(map(str, missing))}; add it"
        )
    layers = [by_layer[layer][0] for layer in sorted(by_layer)]
    _check_same_sizes(layers)
    _check_same(layers)
    return StoredDictionary(
        folder=folder,
        described=layers[0].described,
        layers=tuple(one.tensors for one in layers),
        files=tuple(dict.fromkeys((*files, *(path for one in layers for path in one.files)))),
    )


def _several(folder: Path, layer: int, several: list[FoundLayer]) -> str:
    places = sorted(str(one.place.relative_to(folder)) for one in several)
    listed = ", ".join(places[:SHOWN]) + (f" and {len(places) - SHOWN} more" if len(places) > SHOWN else "")
    return (
        f"{folder} should hold one dictionary for each layer, but layer {layer} has {len(several)}: {listed}; give a "
        "narrower folder, or one with links to one of them per layer"
    )


def _check_same_sizes(layers: list[FoundLayer]) -> None:
    sizes = [(one.described.n_features, one.described.d_read) for one in layers]
    (common, _), *others = Counter(sizes).most_common()
    if others:
        odd = next(one for one, size in zip(layers, sizes, strict=True) if size == others[0][0])
        raise ModelError(
            f"every layer must have the same shape, but {odd.place} has {others[0][0][0]} features of width "
            f"{others[0][0][1]} where others have {common[0]} of width {common[1]}"
        )


def _check_same(layers: list[FoundLayer]) -> None:
    first = layers[0]
    for other in layers[1:]:
        for what, one, two in zip(WHAT, _shared(first.described), _shared(other.described), strict=True):
            if one != two:
                raise ModelError(
                    f"every layer must have the same {what}, but {first.place} has {_said(one)} and {other.place} "
                    f"{_said(two)}"
                )


WHAT = ("kind", "input hook", "output hook", "activation", "output width", "model name", "weight processing")


def _shared(described: Described) -> tuple[Any, ...]:
    return (
        described.kind,
        described.reads.name,
        described.writes.name,
        described.rule,
        described.d_write,
        described.model_name,
        described.processing,
    )


def _said(value: Any) -> str:
    if isinstance(value, Rule):
        flags = [name for name in ("relu", "by_magnitude", "by_decoder_norm") if getattr(value, name)]
        return " ".join((value.activation, *flags))
    return ", ".join(sorted(value)) or "none" if isinstance(value, frozenset) else str(value)
