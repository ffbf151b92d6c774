"""The arrays of one dictionary of SAELens, which depend on its architecture.

`W_enc [d_in, F]`, `W_dec [F, d_out]`, `b_enc`, `b_dec`; `threshold` with `jumprelu*`; `W_skip [d_out, d_in]`
(`x @ W_skip.T`, on the raw input) with `*skip_transcoder`; `b_gate`, `b_mag`, `r_mag` in place of `b_enc` with
`gated`. Training checkpoints have a scalar `topk_threshold` (`batchtopk`) or `log_threshold`.
"""

from collections.abc import Mapping
from pathlib import Path

from circuitbase.tracing.formats.headers import Shape
from circuitbase.tracing.formats.sizes import check_names, check_shapes, length
from circuitbase.tracing.formats.stored import Stored, StoredGate, StoredLayer

LAYOUT = "SAELens"
UNUSED = "scaling_factor"  # early versions saved it whether or not it was used


def sae_lens_layer(
    path: Path,
    shapes: Mapping[str, Shape],
    architecture: str,
    *,
    k: int | None,
    subtracts_b_dec: bool,
    scale: float,
) -> tuple[StoredLayer, tuple[int, int, int]]:
    """Returns a layer's tensors and (features, width read, width written); raises ModelError for wrong shapes."""
    gated, biases = architecture == "gated", ("b_gate", "b_mag", "r_mag")
    threshold = None
    if architecture.startswith("jumprelu"):
        threshold = "log_threshold" if "log_threshold" in shapes else "threshold"
    elif architecture == "batchtopk":
        threshold = "topk_threshold"
    skip = ("W_skip",) if "skip" in architecture else ()
    encoder_biases = biases if gated else ("b_enc",)
    needed = ("W_enc", "W_dec", *encoder_biases, "b_dec", *((threshold,) if threshold else ()), *skip)
    check_names(path, shapes, layout=f"the architecture {architecture}", needed=needed, allowed=(UNUSED,))
    n_features, d_write = length(path, shapes, encoder_biases[0]), length(path, shapes, "b_dec")
    d_read = d_write
    if architecture.endswith("transcoder") and len(shapes["W_enc"]) == 2 and shapes["W_enc"][1] == n_features:
        d_read = shapes["W_enc"][0]
    expected = {
        "W_enc": (d_read, n_features),
        "W_dec": (n_features, d_write),
        **dict.fromkeys((*encoder_biases, "threshold", "log_threshold"), (n_features,)),
        "topk_threshold": (),
        "W_skip": (d_write, d_read),
    }
    check_shapes(path, shapes, expected, lengths_of=f"{encoder_biases[0]} and b_dec", layout=LAYOUT)
    tensors = StoredLayer(
        W_enc=Stored(path, "W_enc", transposed=True),
        W_dec=(Stored(path, "W_dec"),),
        b_enc=None if gated else Stored(path, "b_enc"),
        b_dec=Stored(path, "b_dec"),
        gate=StoredGate(*(Stored(path, name) for name in biases)) if gated else None,
        threshold=Stored(path, threshold) if threshold else None,
        log_threshold=threshold == "log_threshold",
        W_skip=Stored(path, "W_skip") if skip else None,
        k=k,
        subtracts_b_dec=subtracts_b_dec,
        scale=scale,
    )
    return tensors, (n_features, d_read, d_write)
