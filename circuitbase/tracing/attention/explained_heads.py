"""Heads whose attention is to be explained, as (layer, head, query position), checked before anything is loaded."""

from collections.abc import Iterable
from pathlib import Path

from circuitbase.errors import InputError
from circuitbase.tracing.locating import locate
from circuitbase.tracing.model_config import read_model_config


def check_heads_of(heads: Iterable[tuple[int, int, int]], *, model: str | Path, allow_pickle: bool = False) -> None:
    """Raises InputError if the model in a folder or at a hub id does not have these heads; reads no weights."""
    named = list(heads)
    if named:
        config = read_model_config(locate(model, what="model", allow_pickle=allow_pickle).folder)
        check_heads(named, n_layers=config.n_layers, n_heads=config.n_heads)


def check_heads(heads: Iterable[tuple[int, int, int]], *, n_layers: int, n_heads: int) -> None:
    """Raises InputError, with all that are wrong, if a model does not have these heads."""
    wrong = [f"{layer}/{head}" for layer, head, _ in heads if not (0 <= layer < n_layers and 0 <= head < n_heads)]
    if wrong:
        raise InputError(
            f"a head must have a layer from 0 to {n_layers - 1} and an index from 0 to {n_heads - 1} in this model, "
            f"got {', '.join(wrong)}"
        )


def resolved_heads(heads: Iterable[tuple[int, int, int]], *, n_positions: int) -> list[tuple[int, int, int]]:
    """Returns the heads with query positions from 0, sorted, each once; raises InputError for one beyond the prompt."""
    given = list(heads)
    wrong = [f"{layer}/{head}@{query}" for layer, head, query in given if not -n_positions <= query < n_positions]
    if wrong:
        raise InputError(
            f"the query position of a head must be {-n_positions} to {n_positions - 1} on this prompt, "
            f"got {', '.join(wrong)}"
        )
    return sorted({(layer, head, query % n_positions) for layer, head, query in given})
