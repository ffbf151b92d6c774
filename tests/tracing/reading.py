"""Reading a foreign dictionary, and holding it against its format's own definition."""

from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.bringing import layer_dictionary
from circuitbase.tracing.formats.detection import read_stored_dictionary
from circuitbase.tracing.formats.stored import StoredDictionary
from circuitbase.tracing.layer_dictionary import LayerDictionary
from circuitbase.tracing.rows import LazyRows, ResidentRows
from tests.tracing.foreign_dictionaries import Foreign

N_POSITIONS = 9
ROWS_AT_ONCE = 7  # of a lazy matrix: does not divide the features


def read_layers(stored: StoredDictionary, *, lazy: bool) -> list[LayerDictionary]:
    return [
        layer_dictionary(
            layer,
            stored.described.rule,
            dtype=torch.float64,
            kept_in=torch.float64,
            device=torch.device("cpu"),
            lazy=lazy,
        )
        for layer in stored.layers
    ]


def check_computes_what_its_format_says(foreign: Foreign, monkeypatch: pytest.MonkeyPatch) -> StoredDictionary:
    """Asserts equal activations and outputs to 1e-12, resident and lazily read."""
    stored = read_stored_dictionary(foreign.folder)
    monkeypatch.setattr("circuitbase.tracing.rows.CHUNK_NUMBERS", ROWS_AT_ONCE * stored.described.d_read)
    random = np.random.default_rng(99)
    xs = [random.normal(size=(N_POSITIONS, stored.described.d_read)) for _ in stored.layers]
    wanted = [encode(x) for encode, x in zip(foreign.encode, xs, strict=True)]
    assert all(0 < (a != 0).mean() < 1 for a in wanted)
    for lazy in (False, True):
        layers = read_layers(stored, lazy=lazy)
        assert {type(layer.W_enc) for layer in layers} == {LazyRows if lazy else ResidentRows}
        found = [activations(layer, x) for layer, x in zip(layers, xs, strict=True)]
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)
        for out, (y, target) in enumerate(zip(outputs(layers, found, xs), foreign.decode(wanted, xs), strict=True)):
            np.testing.assert_allclose(y, target, rtol=0, atol=1e-12, err_msg=f"layer {out}")
    return stored


def activations(layer: LayerDictionary, x: np.ndarray) -> np.ndarray:
    firing = layer.fired(torch.from_numpy(x))
    dense = np.zeros((len(x), layer.W_enc.shape[0]))
    dense[firing.position, firing.feature] = firing.activation
    order = list(zip(firing.position.tolist(), firing.feature.tolist(), strict=True))
    assert order == sorted(order)
    assert (firing.activation != 0).all()
    return dense


def outputs(layers: list[LayerDictionary], acts: list[np.ndarray], xs: list[np.ndarray]) -> list[np.ndarray]:
    written = []
    for out, (layer, x) in enumerate(zip(layers, xs, strict=True)):
        y = layer.b_dec.numpy() + (0 if layer.W_skip is None else x @ layer.W_skip.numpy().T)
        for i in range(out + 1):
            if out - i < len(layers[i].W_dec):
                rows = layers[i].W_dec[out - i].chosen(torch.arange(acts[i].shape[1]))
                y = y + acts[i] @ rows.numpy()
        written.append(y)
    return written


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as found:
        read_stored_dictionary(folder)
    return str(found.value)
