"""The arrays of one Gemma Scope dictionary: `params.npz` of the first release, `params.safetensors` of the second.

`W_enc [d, F]`, `W_dec [F, d]`, `b_enc`, `b_dec`, `threshold` in either case of their first letter, and in the second
release optionally `affine_skip_connection [in, out]`. JumpReLU with a ReLU besides; nothing is subtracted.
"""

from collections.abc import Mapping
from pathlib import Path

from circuitbase.tracing.formats.headers import Shape
from circuitbase.tracing.formats.sizes import check_names, check_shapes, length
from circuitbase.tracing.formats.stored import Rule, Stored, StoredLayer

LAYOUT = "Gemma Scope"
RULE = Rule("jumprelu", relu=True)
AFFINE = "affine_skip_connection"
VECTORS = ("b_enc", "b_dec", "threshold")


def params_layer(path: Path, shapes: Mapping[str, Shape]) -> tuple[StoredLayer, tuple[int, int, int]]:
    """Returns a layer's tensors and (features, width read, width written); raises ModelError for wrong shapes."""
    W_enc, W_dec = ("w_enc", "w_dec") if "w_enc" in shapes else ("W_enc", "W_dec")
    check_names(path, shapes, layout=LAYOUT, needed=(W_enc, W_dec, *VECTORS), allowed=(AFFINE,))
    n_features, d_write = length(path, shapes, "b_enc"), length(path, shapes, "b_dec")
    # an attention output's width is not the residual stream's, so the encoder says what is read
    d_read = d_write if AFFINE not in shapes or len(shapes[AFFINE]) != 2 else shapes[AFFINE][0]
    expected = {
        W_enc: (d_read, n_features),
        W_dec: (n_features, d_write),
        "threshold": (n_features,),
        AFFINE: (d_read, d_write),
    }
    check_shapes(path, shapes, expected, lengths_of="b_enc and b_dec", layout=LAYOUT)
    tensors = StoredLayer(
        W_enc=Stored(path, W_enc, transposed=True),
        W_dec=(Stored(path, W_dec),),
        b_enc=Stored(path, "b_enc"),
        b_dec=Stored(path, "b_dec"),
        threshold=Stored(path, "threshold"),
        W_skip=Stored(path, AFFINE, transposed=True) if AFFINE in shapes else None,
    )
    return tensors, (n_features, d_read, d_write)
