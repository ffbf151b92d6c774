"""Pictures of attention patterns: a square for each head, queries down, keys across."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from circuitbase.pages.token_map import TokenMap, token_maps_png

CELL = (0.26, 0.26)  # inches


def patterns_png(
    *, heads: Sequence[str], tokens: Sequence[str], patterns: Sequence[Float64[np.ndarray, "query key"]]
) -> bytes:
    """Returns the patterns of heads, side by side, as a PNG; darker is more attention."""
    named = tuple(f"{place} {token}" for place, token in enumerate(tokens))
    maps = [
        TokenMap(
            title=head,
            note="colour: attention weight",
            rows=named,
            columns=named,
            values=pattern,
            scale="share",
            row_title="query",
            column_title="key",
        )
        for head, pattern in zip(heads, patterns, strict=True)
    ]
    return token_maps_png(maps, cell=CELL)
