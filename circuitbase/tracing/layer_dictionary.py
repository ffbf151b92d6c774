"""One layer of a dictionary in the form that is traced, and which of its features fire."""

from collections.abc import Iterator
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from circuitbase.tracing.activations import Activation, Firing, Part
from circuitbase.tracing.rows import CHUNK_NUMBERS, Rows


@dataclass(frozen=True)
class LayerDictionary:
    """One layer: `z = W_enc·r + b_enc`, `a = act(z)`; features write `Σ_f a_f W_dec[f]`.

    `W_dec[j]` holds what the features write into layer l + j: one matrix, or for a cross-layer
    transcoder one for every layer from its own on. `b_dec` and `W_skip·r` ([out, in]) are written
    into the layer itself, whatever fires. Every format is brought into this form when it is read.
    """

    W_enc: Rows
    W_dec: tuple[Rows, ...]
    b_enc: Float[Tensor, " feature"]
    b_dec: Float[Tensor, " d_write"]
    activation: Activation
    W_skip: Float[Tensor, "d_write d_read"] | None = None

    def fired(self, r: Float[Tensor, "position d_read"]) -> Firing:
        """Returns which features fire on what is read at each position, and how much.

        The pre-activations of all features never lie side by side for more than `CHUNK_NUMBERS`
        numbers at once, if the activation can do without.
        """
        return self.activation.fired(self._preactivations(r))

    def _preactivations(self, r: Float[Tensor, "position d_read"]) -> Iterator[Part]:
        """Yields the pre-activations of some features after the others."""
        first, most = 0, max(1, CHUNK_NUMBERS // max(1, len(r)))
        for chunk in self.W_enc.chunks():
            for rows in chunk.split(most):
                last = first + len(rows)
                yield Part(first, r @ rows.T + self.b_enc[first:last])
                first = last
