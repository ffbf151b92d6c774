"""Input-invariant weights between features: what one writes along what another reads, whatever the prompt.

`V_st = ⟨Σ_{l_s ≤ l < l_t} W_dec[s→l], N°ᵀ W_enc[t]⟩` at one position, where N° is the target's norm without its
denominator (weight and centring, and the weight of norms that are crossed behind the MLP), W_dec has norm 1, and skip
paths are left out (methods.md section 3). It tells an edge that the weights make from one that comes through attention
or by interference.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.graph.trace import TracedPrompt
from circuitbase.tracing.dictionaries import Dictionary
from circuitbase.tracing.frozen import FrozenModel, freeze
from circuitbase.tracing.hooks import READS_BEFORE_MLP
from circuitbase.tracing.models import TracedModel
from circuitbase.tracing.run import run_prompts

TINY = 1e-30


@dataclass(frozen=True)
class FeaturePair:
    """A source feature and a target feature, each by its layer and index."""

    source: tuple[int, int]
    target: tuple[int, int]


@torch.no_grad()
def virtual_weights(
    model: TracedModel, dictionary: Dictionary, pairs: Sequence[FeaturePair]
) -> Float64[Tensor, " pair"]:
    """Returns V of each pair, 0 where the source is not below the target.

    The dictionary's decoder rows (over all layers they write to, joined) are taken with norm 1. Raises InputError
    for features the dictionary does not have, and for a dictionary whose features are no targets.
    """
    _check(dictionary, pairs)
    frozen = _structure(model, dictionary)
    found = torch.zeros(len(pairs), dtype=torch.float64)
    for number, pair in enumerate(pairs):
        read = _read(frozen, dictionary, *pair.target)
        write = _write(frozen, dictionary, *pair.source, below=pair.target[0])
        if write is not None:
            found[number] = (write @ read).to(torch.float64)
    return found


def _structure(model: TracedModel, dictionary: Dictionary) -> FrozenModel:
    """Returns the frozen model of any prompt: of it only what depends on no prompt is used."""
    token = TracedPrompt(text=None, token_ids=(0,), token_strings=("",), positions_without_nodes=())
    (run,) = run_prompts(model, [token])
    return freeze(model, dictionary, run)


def _read(frozen: FrozenModel, dictionary: Dictionary, layer: int, feature: int) -> Float[Tensor, " d_model"]:
    norm = frozen.layers[layer].read
    assert norm is not None
    row = dictionary.layers[layer].W_enc.chosen(torch.tensor([feature], device=dictionary.device))
    return norm.folded(row.to(torch.float64))[0]


def _write(
    frozen: FrozenModel, dictionary: Dictionary, layer: int, feature: int, *, below: int
) -> Float[Tensor, " d_model"] | None:
    chosen = torch.tensor([feature], device=dictionary.device)
    rows = [each.chosen(chosen)[0].to(torch.float64) for each in dictionary.layers[layer].W_dec]
    size = torch.cat(rows).norm().clamp_min(TINY)
    written = None
    for slot, row in enumerate(rows):
        place = frozen.layers[layer + slot] if layer + slot < min(below, len(frozen.layers)) else None
        if place is None:
            break
        vector = (row / size)[None]
        if place.write_matrix is not None:
            vector = vector @ place.write_matrix.to(vector)
        here = place.write.shaped(vector)[0]
        written = here if written is None else written + here
    return written


def _check(dictionary: Dictionary, pairs: Sequence[FeaturePair]) -> None:
    if dictionary.reads not in READS_BEFORE_MLP:
        raise InputError(
            f"features of {dictionary.identity.id} read {dictionary.reads.value}, so no feature acts on them and they "
            "have no virtual weights; take a transcoder"
        )
    for layer, feature in {end for pair in pairs for end in (pair.source, pair.target)}:
        n_layers = len(dictionary.layers)
        if not 0 <= layer < n_layers or not 0 <= feature < len(dictionary.layers[layer].b_enc):
            raise InputError(
                f"{dictionary.identity.id} has no feature {feature} in layer {layer}; it has {n_layers} layers of "
                f"{len(dictionary.layers[0].b_enc)} features"
            )
