"""From a layer's stored tensors to the one form that is traced: transposed, shifted, gated or scaled ones are folded.

With b_dec subtracted, `W_enc (r − b_dec) + b_enc = W_enc r + (b_enc − W_enc b_dec)`. Gated (Rajamanoharan et al. 2024):
`z' = e^r_mag ∘ W_enc r + b_mag` is active where it exceeds both 0 and `b_mag − b_gate e^r_mag`, so it is a JumpReLU.
With a constant s of the data set, `W_enc s`, `W_dec / s` and `b_dec / s`. Folding is computed in float64.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from circuitbase.errors import ModelError
from circuitbase.tracing.activations import Activation, GroupMax, JumpRelu, Relu, TopK
from circuitbase.tracing.formats.stored import Rule, Stored, StoredLayer
from circuitbase.tracing.formats.tensors import open_tensors
from circuitbase.tracing.layer_dictionary import LayerDictionary
from circuitbase.tracing.rows import LazyRows, ResidentRows, Rows, all_finite

Vector = Float[Tensor, "_"]


def layer_dictionary(
    stored: StoredLayer,
    rule: Rule,
    *,
    dtype: torch.dtype,
    kept_in: torch.dtype,
    device: torch.device,
    lazy: bool,
) -> LayerDictionary:
    """Returns a layer in the form that is traced; raises ModelError for numbers that are not finite.

    Encoders and decoders are rounded to `kept_in`, everything comes out in `dtype`. With `lazy` they stay
    in their files, and are checked when they are read.
    """
    layer = _OpenLayer(dtype, kept_in, device, lazy)
    b_dec = layer.vector(stored.b_dec)
    b_enc, row_scale, gate_threshold = _encoder(stored, layer, b_dec)
    decoders = tuple(
        layer.rows(each, None if stored.scale == 1 else torch.full(b_enc.shape, 1 / stored.scale, dtype=torch.float64))
        for each in stored.W_dec
    )
    if stored.scale != 1:
        row_scale = (torch.ones_like(b_enc) if row_scale is None else row_scale) * stored.scale
    threshold = gate_threshold if stored.threshold is None else _threshold(stored, rule, layer, len(b_enc))
    return LayerDictionary(
        W_enc=layer.rows(stored.W_enc, row_scale),
        W_dec=decoders,
        b_enc=layer.given(b_enc),
        b_dec=layer.given(b_dec / stored.scale),
        activation=_activation(stored, rule, layer, threshold),
        W_skip=None if stored.W_skip is None else layer.given(layer.numbers(stored.W_skip)),
    )


class _OpenLayer:
    """The open files of a layer, and where their tensors are wanted."""

    def __init__(self, dtype: torch.dtype, kept_in: torch.dtype, device: torch.device, lazy: bool) -> None:
        self._files: dict[Path, dict[str, Tensor]] = {}
        self._dtype, self._kept_in, self._device, self._lazy = dtype, kept_in, device, lazy

    def source(self, stored: Stored) -> Tensor:
        """Returns a tensor as it lies in its file, but in our form."""
        if stored.path not in self._files:
            self._files[stored.path] = open_tensors(stored.path)
        return _in_our_form(self._files[stored.path], stored)

    def numbers(self, stored: Stored) -> Tensor:
        """Returns a small tensor in float64; raises ModelError if it is not finite."""
        found = self.source(stored).to(torch.float64)
        if not all_finite(found):
            raise _not_finite(stored)
        return found

    def vector(self, stored: Stored) -> Vector:
        """Returns a vector in float64."""
        return self.numbers(stored)

    def given(self, numbers: Tensor) -> Tensor:
        """Returns numbers where and how they are wanted."""
        return numbers.to(device=self._device, dtype=self._dtype).contiguous()

    def rows(self, stored: Stored, scale: Vector | None) -> Rows:
        """Returns a matrix with its rows scaled."""
        rounded = None if self._kept_in == self._dtype else self._kept_in
        self.source(stored)  # a file that cannot be read is refused now
        name = f"{stored.path}: {stored.name}"
        lazy = LazyRows(partial(_opened, stored), self._dtype, self._device, scale, name, rounded)
        if self._lazy:
            return lazy
        matrix = torch.empty(lazy.shape, dtype=self._kept_in, device=self._device)
        first = 0
        for part in lazy.chunks():
            matrix[first : first + len(part)] = part
            first += len(part)
        return ResidentRows(matrix, self._dtype)

    def by_rows(self, stored: Stored, what: Callable[[Tensor], Tensor]) -> Vector:
        """Returns a number for each row of a matrix, read some rows at a time, in float64."""
        name = f"{stored.path}: {stored.name}"
        rows = LazyRows(partial(_opened, stored), torch.float64, torch.device("cpu"), None, name)
        return torch.cat([what(part) for part in rows.chunks()])


def _opened(stored: Stored) -> Tensor:
    """Returns a tensor of a file that is opened for it alone, in our form."""
    return _in_our_form(open_tensors(stored.path), stored)


def _in_our_form(tensors: dict[str, Tensor], stored: Stored) -> Tensor:
    found = tensors[stored.name]
    if not found.is_floating_point():
        raise ModelError(f"{stored.path}: {stored.name} must hold floating-point numbers, got {found.dtype}")
    if stored.slot is not None:
        found = found[:, stored.slot]
    return found.T if stored.transposed else found


def _encoder(stored: StoredLayer, layer: _OpenLayer, b_dec: Vector) -> tuple[Vector, Vector | None, Vector | None]:
    """Returns b_enc, the scale of W_enc's rows (None: 1), and the thresholds of gates (None without them)."""
    shift = layer.by_rows(stored.W_enc, lambda rows: rows @ b_dec) if stored.subtracts_b_dec else 0.0
    if stored.gate is None:
        assert stored.b_enc is not None
        return layer.vector(stored.b_enc) - shift, None, None
    grown = layer.vector(stored.gate.r_mag).exp()
    b_mag = layer.vector(stored.gate.b_mag)
    threshold = (b_mag - layer.vector(stored.gate.b_gate) * grown).clamp(min=0)
    return b_mag - grown * shift, grown, threshold


def _threshold(stored: StoredLayer, rule: Rule, layer: _OpenLayer, n_features: int) -> Vector:
    assert stored.threshold is not None
    threshold = layer.numbers(stored.threshold)
    if threshold.dim() == 0:
        if threshold.item() < 0:  # what it is before any batch was seen
            raise ModelError(
                f"{stored.threshold.path}: {stored.threshold.name} is {threshold.item():g}, so the threshold of this "
                "BatchTopK dictionary was never set; train it further, or set it from its activations"
            )
        threshold = threshold.expand(n_features)
    if stored.log_threshold:
        threshold = threshold.exp()
    return threshold.clamp(min=0) if rule.relu else threshold


def _activation(stored: StoredLayer, rule: Rule, layer: _OpenLayer, threshold: Vector | None) -> Activation:
    match rule.activation:
        case "jumprelu":
            assert threshold is not None
            return JumpRelu(layer.given(threshold))
        case "relu":
            return Relu()
        case "topk":
            assert stored.k is not None
            scale = None
            if rule.by_decoder_norm:
                scale = layer.given(layer.by_rows(stored.W_dec[0], lambda rows: rows.norm(dim=1)))
            return TopK(stored.k, positive=rule.relu, rank_scale=scale, by_magnitude=rule.by_magnitude)
        case "groupmax":
            assert stored.k is not None
            return GroupMax(stored.k)


def _not_finite(stored: Stored) -> ModelError:
    return ModelError(
        f"{stored.path} must hold finite numbers, but {stored.name} has others; train the dictionary again"
    )
