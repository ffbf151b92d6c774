"""The frozen model computed another way: the original Hugging Face modules with their nonlinear parts pinned by hooks.

Norms keep the denominators and attention layers the patterns of a clean run; each MLP's output is the sum of what the
nodes write, every write times a scale of its own, and a constant (plus the skip path, recomputed). Reads are linear in
the scales, so the derivative of a read in a scale is the edge, and the reads at scale 0 are the bias effects. Nothing
here uses the tracer: weights come from the modules and the safetensors files.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import GPT2LMHeadModel

from circuitbase.graph.attribution_graph import AttributionGraph
from circuitbase.schema.kinds import NodeKind


@dataclass
class Clean:
    """What one clean run of the model measured, per layer."""

    norm_inputs: dict[str, Tensor]
    patterns: list[Tensor]
    mlp_outputs: list[Tensor]
    reads: list[Tensor]


class FrozenReference:
    """The frozen model of one prompt under one dictionary; `reads` is read in the residual stream or after ln_2."""

    def __init__(
        self, model_folder: Path, dictionary_folder: Path, tokens: tuple[int, ...], *, reads: str = "mlp.hook_in"
    ):
        self.module = GPT2LMHeadModel.from_pretrained(model_folder, attn_implementation="eager").double().eval()
        self.tokens = torch.tensor([tokens])
        self.read_hook = reads
        paths = [dictionary_folder / f"layer_{layer}.safetensors" for layer in range(self.module.config.n_layer)]
        self.dictionary = [{name: array.double() for name, array in load_file(path).items()} for path in paths]
        self.clean = self._clean_run()

    def activations(self, layer: int, *, k: int | None = None) -> Tensor:
        """Returns the activation of every feature [position, feature], as the format defines it."""
        weights = self.dictionary[layer]
        z = self.clean.reads[layer] @ weights["W_enc"].T + weights["b_enc"]
        if "activation_function.threshold" in weights:
            return z * (z > weights["activation_function.threshold"])
        if k is None:
            return z.clamp_min(0)
        cut = z.sort(-1, descending=True).values[:, k - 1 : k]
        return z * (z >= cut)

    def reads_at(self, graph: AttributionGraph, scale: Tensor) -> Tensor:
        """Returns every target's read [run, node] (nan for other nodes) when each node's write is times its scale.

        `scale` is [run, node]; the runs are one batch of prompts.
        """
        written = [self._written(graph, scale, layer) for layer in range(len(self.dictionary))]
        tokens = torch.from_numpy(np.flatnonzero(graph.node_kind == NodeKind.INPUT_TOKEN))
        seen: list[Tensor] = []
        wte = self.module.transformer.wte
        hooks = [wte.register_forward_hook(lambda _m, _i, out: out * scale[:, tokens, None])]
        for name, norm in self._norms():
            hooks.append(norm.register_forward_hook(partial(self._frozen_norm, name)))
        for layer, block in enumerate(self.module.transformer.h):
            hooks.append(block.attn.register_forward_hook(partial(self._frozen_attention, layer)))
            hooks.append(block.ln_2.register_forward_hook(lambda *seen_by: seen.append(self._read_of(*seen_by))))
            hooks.append(block.mlp.register_forward_hook(partial(self._replaced_mlp, layer, written[layer], seen)))
        try:
            logits = self.module(self.tokens.expand(len(scale), -1), use_cache=False).logits[:, -1]
        finally:
            for hook in hooks:
                hook.remove()
        return self._target_reads(graph, seen, logits)

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

    def _norms(self):
        for layer, block in enumerate(self.module.transformer.h):
            yield f"{layer}.1", block.ln_1
            yield f"{layer}.2", block.ln_2
        yield "final", self.module.transformer.ln_f

    def _clean_run(self) -> Clean:
        inputs: dict[str, Tensor] = {}
        patterns, outputs, reads = [], [], []
        hooks = [
            norm.register_forward_hook(lambda _m, given, _out, name=name: inputs.__setitem__(name, given[0][0]))
            for name, norm in self._norms()
        ]
        for block in self.module.transformer.h:
            hooks.append(block.attn.register_forward_hook(lambda _m, _i, out: patterns.append(out[1][0])))
            hooks.append(block.mlp.register_forward_hook(lambda _m, _i, out: outputs.append(out[0])))
            hooks.append(block.ln_2.register_forward_hook(lambda *seen_by: reads.append(self._read_of(*seen_by)[0])))
        with torch.no_grad():
            self.logits = self.module(self.tokens, use_cache=False).logits[0, -1]
        for hook in hooks:
            hook.remove()
        return Clean(inputs, patterns, outputs, reads)

    def _read_of(self, norm: torch.nn.LayerNorm, given: tuple[Tensor, ...], after: Tensor) -> Tensor:
        normalized = (after - norm.bias) / norm.weight
        hooks = {"hook_resid_mid": given[0], "mlp.hook_in": after, "ln2.hook_normalized": normalized}
        return hooks[self.read_hook]

    def _frozen_norm(self, name: str, norm: torch.nn.LayerNorm, given: tuple[Tensor, ...], _out: Tensor) -> Tensor:
        x, clean = given[0], self.clean.norm_inputs[name]
        denominator = (clean.var(-1, unbiased=False, keepdim=True) + norm.eps).sqrt()
        return (x - x.mean(-1, keepdim=True)) / denominator * norm.weight + norm.bias

    def _frozen_attention(self, layer: int, attention: torch.nn.Module, given: tuple[Tensor, ...], out: tuple) -> tuple:
        hidden = given[0]
        value = attention.c_attn(hidden).split(attention.split_size, dim=2)[2]
        heads = value.view(*value.shape[:2], attention.num_heads, attention.head_dim).transpose(1, 2)
        mixed = (self.clean.patterns[layer] @ heads).transpose(1, 2).reshape(hidden.shape)
        return (attention.c_proj(mixed), *out[1:])

    def _replaced_mlp(
        self, layer: int, written: Tensor, seen: list[Tensor], _mlp: torch.nn.Module, _given: tuple, _out: Tensor
    ) -> Tensor:
        weights = self.dictionary[layer]
        return written + (seen[layer] @ weights["W_skip"].T if "W_skip" in weights else 0)

    def _written(self, graph: AttributionGraph, scale: Tensor, layer: int) -> Tensor:
        """Returns [run, position, d_model]: the scaled writes of a layer's nodes, and what is constant."""
        weights, y, r = self.dictionary[layer], self.clean.mlp_outputs[layer], self.clean.reads[layer]
        without_skip = y - r @ weights["W_skip"].T if "W_skip" in weights else y
        at_layer = graph.node_layer == layer
        errors = torch.from_numpy(np.flatnonzero(at_layer & (graph.node_kind == NodeKind.LAYER_ERROR)))
        features = torch.from_numpy(np.flatnonzero(at_layer & (graph.node_kind == NodeKind.FEATURE)))
        error_position, position = (torch.from_numpy(graph.node_position)[rows].long() for rows in (errors, features))
        unit = torch.from_numpy(graph.node_unit)[features]
        z = (r[position] * weights["W_enc"][unit]).sum(-1) + weights["b_enc"][unit]
        write = z[:, None] * weights["W_dec"][unit]
        constant = without_skip.clone()
        constant[error_position] = weights["b_dec"]
        error = without_skip - constant.index_add(0, position, write)
        return (
            constant.expand(len(scale), -1, -1)
            .index_add(1, position, scale[:, features, None] * write)
            .index_add(1, error_position, scale[:, errors, None] * error[error_position])
        )

    def _target_reads(self, graph: AttributionGraph, seen: list[Tensor], logits: Tensor) -> Tensor:
        reads = torch.full((len(logits), graph.n_nodes), torch.nan, dtype=torch.float64)
        assert not (graph.node_kind == NodeKind.OTHER_OUTPUT).any(), "role outputs are compared with tokens elsewhere"
        for layer, read in enumerate(seen):
            features = np.flatnonzero((graph.node_kind == NodeKind.FEATURE) & (graph.node_layer == layer))
            position, unit = graph.node_position[features], graph.node_unit[features]
            reads[:, features] = (read[:, position] * self.dictionary[layer]["W_enc"][unit]).sum(-1)
        outputs = np.flatnonzero(graph.node_kind == NodeKind.OUTPUT_TOKEN)
        reads[:, outputs] = logits[:, graph.node_unit[outputs]] - logits.mean(-1, keepdim=True)
        return reads
