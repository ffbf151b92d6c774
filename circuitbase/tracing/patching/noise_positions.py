"""Which tokens of a batch of prompts noise is put on."""

from collections.abc import Sequence

from jaxtyping import Bool
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.tracing.components.batches import PairBatch


def noise_mask(batch: PairBatch, positions: Sequence[int] | None) -> Bool[Tensor, "pair position"]:
    """Returns the tokens at these positions of the clean prompts, negative ones from the end.

    Without positions, those that differ from the corrupted prompt's. Raises InputError for a position that a
    prompt does not have.
    """
    mask = (batch.clean != batch.corrupted) & batch.unpadded
    if positions is None:
        return mask
    mask[:] = False
    for row, pair in enumerate(batch.pairs):
        for position in positions:
            if not -len(pair.clean) <= position < len(pair.clean):
                raise InputError(
                    f"noise is asked for at position {position}, but pair {batch.places[row]} has "
                    f"{len(pair.clean)} tokens; name positions that every prompt has"
                )
            mask[row, position % len(pair.clean)] = True
    return mask
