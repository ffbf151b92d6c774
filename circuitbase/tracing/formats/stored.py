"""What a folder with a dictionary holds, in words that serve every format and without its weights.

F features, d width: our form is `W_enc [F, d]`, `W_dec [F, d]`, `W_skip [out, in]`. A format that keeps a matrix
otherwise says so beside the name of the tensor.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["transcoder_set", "cross_layer_transcoder", "sae_set"]
ActivationName = Literal["relu", "jumprelu", "topk", "groupmax"]


@dataclass(frozen=True)
class Stored:
    """A tensor of a file: all of it or index `slot` of its second axis; `transposed` against our form."""

    path: Path
    name: str
    transposed: bool = False
    slot: int | None = None


@dataclass(frozen=True)
class StoredGate:
    """What a Gated SAE has in place of `b_enc` (methods.md section 9)."""

    b_gate: Stored
    b_mag: Stored
    r_mag: Stored


@dataclass(frozen=True)
class StoredLayer:
    """One layer's tensors, and what its format does with them.

    Exactly one of `b_enc` and `gate` is there. `W_dec[j]` is written into layer l + j.
    `log_threshold`: the file holds the logarithm. `subtracts_b_dec`: it encodes `r − b_dec`.
    `scale`: the constant that what is read is multiplied by, and what is written divided by.
    """

    W_enc: Stored
    W_dec: tuple[Stored, ...]
    b_dec: Stored
    b_enc: Stored | None = None
    gate: StoredGate | None = None
    threshold: Stored | None = None
    log_threshold: bool = False
    W_skip: Stored | None = None
    k: int | None = None
    subtracts_b_dec: bool = False
    scale: float = 1.0


@dataclass(frozen=True)
class Rule:
    """What becomes of pre-activations; `gated` and thresholds of BatchTopK count as jumprelu.

    `relu`: it is taken besides, so no activation is negative (matters for thresholds below 0 and for
    TopK). `by_magnitude`: TopK ranks |z|; `by_decoder_norm`: it ranks z · ‖W_dec‖.
    """

    activation: ActivationName
    relu: bool
    by_magnitude: bool = False
    by_decoder_norm: bool = False


@dataclass(frozen=True)
class Point:
    """A hook without its layer, as its file names it, and the place of that name for sentences."""

    name: str
    said_in: str


@dataclass(frozen=True)
class Described:
    """What every layer of a dictionary must share.

    `named_in` says where the model's name stands.
    `lens_version` is TransformerLens' major version, if said. `processing` are the changes that
    TransformerLens made to the model's weights before activations were taken (`fold_ln`).
    `said_by_place`: what it reads and writes stands in the path alone, in no file.
    """

    kind: Kind
    reads: Point
    writes: Point
    rule: Rule
    n_features: int
    d_read: int
    d_write: int
    model_name: str | None = None
    named_in: str = ""
    lens_version: int | None = None
    processing: frozenset[str] = frozenset()
    said_by_place: bool = False


@dataclass(frozen=True)
class FoundLayer:
    """A layer's dictionary as it was found; `place` is the file or folder that sentences name."""

    layer: int
    place: Path
    described: Described
    tensors: StoredLayer
    files: tuple[Path, ...]


@dataclass(frozen=True)
class StoredDictionary:
    """A dictionary for layers 0, 1, ...; `files` are all that say what it computes."""

    folder: Path
    described: Described
    layers: tuple[StoredLayer, ...]
    files: tuple[Path, ...]

    @property
    def numbers(self) -> int:
        """Returns how many numbers its encoders and decoders hold."""
        about = self.described
        return about.n_features * sum(about.d_read + len(layer.W_dec) * about.d_write for layer in self.layers)
