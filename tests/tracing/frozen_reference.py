"""The frozen model computed another way: the original Hugging Face modules with their nonlinear parts pinned by hooks.

Norms keep the denominators and attention layers the patterns of a clean run; what a dictionary replaces (an MLP's
output or an attention layer's) is the sum of what the nodes write, every write times a scale of its own, and a
constant (plus the skip path, recomputed). Reads are linear in the scales, so the derivative of a read in a scale is
the edge, and the reads at scale 0 are the bias effects. Nothing here uses the tracer: weights come from the modules,
the dictionary is a list of plain tensors, and a node is a row of an attribution graph.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.schema.kinds import NodeKind
from tests.tracing.pinned_model import Changes, PinnedModel, Seen

ATTENTION_SITES = ("attn.hook_z", "attn.hook_out", "hook_attn_out")


class FrozenReference:
    """The frozen model of one prompt under one dictionary.

    The dictionary has per layer `W_enc [F, d]`, `b_enc`, `b_dec`, `W_dec [F, d]` or of a cross-layer transcoder
    `[F, L − l, d]`, and perhaps `threshold` and `W_skip [out, in]`; `k` makes it a TopK, with `positive` one that
    clips. `reads` and `writes` are hook names; an SAE reads what it writes. The outputs of the graph are tokens, at
    the last position; `directions[unit]` says for other outputs (position, direction at the final norm's output).
    """

    def __init__(
        self,
        model_folder: Path,
        dictionary: Path | Sequence[dict[str, Tensor]],
        tokens: tuple[int, ...],
        *,
        reads: str = "mlp.hook_in",
        writes: str = "mlp.hook_out",
        k: int | None = None,
        positive: bool = False,
        directions: dict[int, tuple[int, Tensor]] | None = None,
    ):
        self.model = PinnedModel(model_folder, writes=writes)
        self.n_layers = len(self.model.blocks)
        self.tokens = torch.tensor([tokens])
        self.reads, self.writes, self.k, self.positive = reads, writes, k, positive
        self.directions = directions or {}
        self.dictionary = _own_form(dictionary, self.n_layers)
        self.clean = self.model.forward(self.tokens, torch.ones(1, len(tokens), 1, dtype=torch.float64))
        self.logits = self.clean.logits[0, -1]
        self.clean_reads = [self._read(self.clean, layer)[0] for layer in range(self.n_layers)]

    def activations(self, layer: int, *, k: int | None = None) -> Tensor:
        """Returns the activation of every feature [position, feature], as the format defines it."""
        weights, k = self.dictionary[layer], k or self.k
        z = self.clean_reads[layer] @ weights["W_enc"].T + weights["b_enc"]
        if "threshold" in weights:
            return z * (z > weights["threshold"])
        if k is None:
            return z.clamp_min(0)
        kept = z * (z >= z.sort(-1, descending=True).values[:, k - 1 : k])
        return kept.clamp_min(0) if self.positive else kept

    def reads_at(self, graph: AttributionGraph, scale: Tensor) -> Tensor:
        """Returns every target's read [run, node] (nan for other nodes) when each node's write is times its scale.

        `scale` is [run, node]; the runs are one batch of prompts.
        """
        written = [self._written(graph, scale, layer) for layer in range(self.n_layers)]

        def replace(layer: int, seen: Seen) -> Tensor:
            weights = self.dictionary[layer]
            return written[layer] + (self._read(seen, layer) @ weights["W_skip"].T if "W_skip" in weights else 0)

        mlps = [self._scaled_mlp(graph, scale, layer) for layer in range(self.n_layers)]
        tokens = torch.from_numpy(np.flatnonzero(graph.node_kind == NodeKind.INPUT_TOKEN))
        changes = Changes(pinned=self.clean, replace=replace, mlps=mlps)
        return self._target_reads(graph, self.model.forward(self.tokens, scale[:, tokens, None], changes))

    def edges(self, graph: AttributionGraph) -> np.ndarray:
        """Returns the dense matrix [target, source]: how much a read moves when one node's write alone is added."""
        with torch.no_grad():
            alone = self.reads_at(graph, torch.eye(graph.n_nodes, dtype=torch.float64))
            none = self.reads_at(graph, torch.zeros(1, graph.n_nodes, dtype=torch.float64))
        return (alone - none).nan_to_num().T.numpy()

    def derivatives(self, graph: AttributionGraph) -> np.ndarray:
        """Returns the same matrix by automatic differentiation around the frozen run."""
        ones = torch.ones(graph.n_nodes, dtype=torch.float64)
        return torch.autograd.functional.jacobian(lambda s: self.reads_at(graph, s[None])[0].nan_to_num(), ones).numpy()

    def moved_by(self, graph: AttributionGraph, node: int) -> np.ndarray:
        """Returns how much every read moves when one node's write is added once more to the frozen run."""
        scale = torch.ones(2, graph.n_nodes, dtype=torch.float64)
        scale[1, node] = 2
        with torch.no_grad():
            run, more = self.reads_at(graph, scale)
        return (more - run).numpy()

    def bias_effects(self, graph: AttributionGraph) -> np.ndarray:
        """Returns every target's read when no node writes."""
        with torch.no_grad():
            return self.reads_at(graph, torch.zeros(1, graph.n_nodes, dtype=torch.float64))[0].numpy()

    def clean_target_reads(self, graph: AttributionGraph) -> np.ndarray:
        """Returns every target's read in the original model: what edges and bias effect must add up to."""
        return self._target_reads(graph, self.clean)[0].numpy()

    def _read(self, seen: Seen, layer: int) -> Tensor:
        return seen.written[layer] if self.reads == self.writes else seen.before_mlp[layer][self.reads]

    def _written(self, graph: AttributionGraph, scale: Tensor, layer: int) -> Tensor:
        """Returns [run, position, d]: the scaled writes of nodes into a layer, and what is constant."""
        weights, y = self.dictionary[layer], self.clean.written[layer][0]
        without_skip = y - self.clean_reads[layer] @ weights["W_skip"].T if "W_skip" in weights else y
        errors = torch.from_numpy(
            np.flatnonzero((graph.node_kind == NodeKind.LAYER_ERROR) & (graph.node_layer == layer))
        )
        error_position = torch.from_numpy(graph.node_position)[errors].long()
        constant = without_skip.clone()
        constant[error_position] = weights["b_dec"]
        error = without_skip - constant
        total = constant.expand(len(scale), -1, -1)
        for source in range(layer + 1):
            if layer - source >= self.dictionary[source]["W_dec"].shape[1]:
                continue
            active = graph.active_layer == source  # also those of which max_features makes no nodes
            position, write = self._writes_of(graph.active_position[active], graph.active_unit[active], source, layer)
            error = error.index_add(0, position, -write)
            silent = graph.node_silent.astype(bool)
            rows = np.flatnonzero((graph.node_kind == NodeKind.FEATURE) & (graph.node_layer == source) & ~silent)
            position, write = self._writes_of(graph.node_position[rows], graph.node_unit[rows], source, layer)
            total = total.index_add(1, position, scale[:, rows, None] * write)
        return total.index_add(1, error_position, scale[:, errors, None] * error[error_position])

    def _writes_of(self, position: np.ndarray, unit: np.ndarray, source: int, layer: int) -> tuple[Tensor, Tensor]:
        """Returns positions, and what features of layer `source` that fire there write into `layer`."""
        weights, at, feature = self.dictionary[source], torch.from_numpy(position).long(), torch.from_numpy(unit)
        z = (self.clean_reads[source][at] * weights["W_enc"][feature]).sum(-1) + weights["b_enc"][feature]
        return at, z[:, None] * weights["W_dec"][feature, layer - source]

    def _scaled_mlp(self, graph: AttributionGraph, scale: Tensor, layer: int) -> Tensor | None:
        """Returns [run, position, d_model]: a whole MLP's output, scaled where it is a node; None if it is replaced."""
        if self.writes not in ATTENTION_SITES:
            return None
        output = self.clean.mlp_outputs[layer][0]
        rows = np.flatnonzero((graph.node_kind == NodeKind.MLP) & (graph.node_layer == layer))
        position = torch.from_numpy(graph.node_position[rows]).long()
        constant = output.index_fill(0, position, 0).expand(len(scale), -1, -1)
        return constant.index_add(1, position, scale[:, rows, None] * output[position])

    def _target_reads(self, graph: AttributionGraph, seen: Seen) -> Tensor:
        reads = torch.full((len(seen.uncapped), graph.n_nodes), torch.nan, dtype=torch.float64)
        behind_the_cut = self.reads == self.writes and self.writes not in ATTENTION_SITES
        for layer in range(0 if behind_the_cut else self.n_layers):
            features = np.flatnonzero((graph.node_kind == NodeKind.FEATURE) & (graph.node_layer == layer))
            position, unit = graph.node_position[features], graph.node_unit[features]
            read = self._read(seen, layer)[:, position]
            reads[:, features] = (read * self.dictionary[layer]["W_enc"][unit]).sum(-1)
        outputs = np.flatnonzero(graph.node_kind == NodeKind.OUTPUT_TOKEN)
        logits = seen.uncapped[:, -1]
        reads[:, outputs] = logits[:, graph.node_unit[outputs]] - logits.mean(-1, keepdim=True)
        for node in np.flatnonzero(graph.node_kind == NodeKind.OTHER_OUTPUT):
            position, direction = self.directions[int(graph.node_unit[node])]
            reads[:, node] = seen.final[:, position] @ direction
        return reads


def _own_form(dictionary: Path | Sequence[dict[str, Tensor]], n_layers: int) -> list[dict[str, Tensor]]:
    if isinstance(dictionary, Path):  # a folder in circuit-tracer's layout
        dictionary = [load_file(dictionary / f"layer_{layer}.safetensors") for layer in range(n_layers)]
    layers = [
        {name.removeprefix("activation_function."): array.double() for name, array in layer.items()}
        for layer in dictionary
    ]
    for layer in layers:
        if layer["W_dec"].ndim == 2:
            layer["W_dec"] = layer["W_dec"][:, None]
    return layers
