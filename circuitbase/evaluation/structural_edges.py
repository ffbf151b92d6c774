"""Which edges the weights of a norm-free model hold: a direction that one component writes and another reads.

For weights set in a basis of named directions (compiled programs, hand-set gates) this is the compiled structure:
whatever lies outside it carries exactly nothing.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from circuitbase.errors import InputError
from circuitbase.evaluation.small_transformer import SmallTransformer


def structural_edges(model: SmallTransformer, directions: Sequence[str]) -> dict[str, list[str]]:
    """Returns the edges with the directions each carries, in the order of the computation.

    Names are EAP-IG's: `input`, `a{layer}.h{head}`, `m{layer}`, `logits`, and `<q>`, `<k>`, `<v>` behind a head that
    receives. The positional embedding is a constant and no part of `input`.

    Raises InputError for a model with norms, in which every component reads every direction.
    """
    if model.config.norm:
        raise InputError("structural edges are for models without norms: behind a norm everything reads everything")
    found: dict[str, list[str]] = {}
    sources: dict[str, Tensor] = {"input": model.W_E.ne(0).any(0)}
    for layer in range(model.config.n_layers):
        block = model.layers[layer]
        written: dict[str, Tensor] = {}
        for head in range(model.config.n_heads):
            scores, moved = block.W_Q[head] @ block.W_K[head].T, block.W_V[head] @ block.W_O[head]
            reads = {"q": scores.ne(0).any(1), "k": scores.ne(0).any(0), "v": moved.ne(0).any(1)}
            name = f"a{layer}.h{head}"
            found |= carried(sources, {f"{name}<{part}>": read for part, read in reads.items()}, directions)
            written[name] = moved.ne(0).any(0)
        sources |= written
        if model.config.d_mlp:
            used = block.W_out.ne(0).any(1)
            found |= carried(sources, {f"m{layer}": block.W_in[:, used].ne(0).any(1)}, directions)
            sources[f"m{layer}"] = block.W_out.ne(0).any(0)
    return found | carried(sources, {"logits": model.W_U.ne(0).any(1)}, directions)


def carried(sources: dict[str, Tensor], readers: dict[str, Tensor], directions: Sequence[str]) -> dict[str, list[str]]:
    """Returns edges between components that share a direction; masks are over directions."""
    return {
        f"{source}->{reader}": [directions[index] for index in torch.nonzero(written & read).flatten().tolist()]
        for reader, read in readers.items()
        for source, written in sources.items()
        if bool((written & read).any())
    }
