"""A Hugging Face model whose norms and attention patterns can be pinned to what they were on a clean run, by hooks."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from tests.tracing.hugging_face_blocks import (
    HookedBlock,
    attention_function,
    final_norm,
    hooked_blocks,
    mixed,
    normalized,
    weighted,
)


@dataclass
class Seen:
    """What a forward pass met, by layer; `written` is what stands at the write point, before it is replaced.

    `logits` are the module's own, `uncapped` those before a final soft cap, `final` what they are read from.
    """

    norm_inputs: dict[tuple[int, str], Tensor] = field(default_factory=dict)
    patterns: dict[int, Tensor] = field(default_factory=dict)
    before_mlp: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    mlp_outputs: dict[int, Tensor] = field(default_factory=dict)
    written: dict[int, Tensor] = field(default_factory=dict)
    final: Tensor = field(default_factory=lambda: torch.empty(0))
    uncapped: Tensor = field(default_factory=lambda: torch.empty(0))
    logits: Tensor = field(default_factory=lambda: torch.empty(0))


@dataclass(frozen=True)
class Changes:
    """What is changed in a frozen pass: the denominators and patterns of `pinned`, and what stands in some places.

    `replace(layer, seen)` is what goes where the dictionary writes, `mlps[layer]` an MLP's whole output.
    """

    pinned: Seen
    replace: Callable[[int, Seen], Tensor]
    mlps: Sequence[Tensor | None]


class PinnedModel:
    """A model in float64 with RMSNorms that are exact in it; `writes` is the hook name of the write point."""

    def __init__(self, folder: Path, *, writes: str):
        self.module: Any = AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float64
        ).eval()
        self.module.requires_grad_(False)
        self.blocks = hooked_blocks(self.module)
        self.layer_of = {block.attention: layer for layer, block in enumerate(self.blocks)}
        self.writes = writes

    def forward(self, tokens: Tensor, embedding_scale: Tensor, changes: Changes | None = None) -> Seen:
        """Returns what a forward pass meets, with every token's embedding times its scale [run, position, 1]."""
        seen, pinned = Seen(), None if changes is None else changes.pinned
        with ExitStack() as stack:
            stack.enter_context(attention_function(self.blocks[0].attention, self._attention(seen, pinned)))

            def on(module: nn.Module, hook: Callable[..., Any], *, before: bool = False) -> None:
                register = module.register_forward_pre_hook if before else module.register_forward_hook
                stack.callback(register(hook).remove)

            on(self.module.get_input_embeddings(), lambda _m, _i, out: out * embedding_scale)
            for layer, block in enumerate(self.blocks):
                for name, norm in block.norms().items():
                    on(norm, _norm_hook(seen, (layer, name), pinned))
                if block.mlp_norm is None:
                    on(block.mlp, _no_norm_hook(seen, layer), before=True)
                on(block.mlp, _mlp_hook(seen, layer, None if changes is None else changes.mlps[layer]))
                module, hook, before = self._write_hook(seen, layer, block, changes)
                on(module, hook, before=before)
            on(final_norm(self.module), _norm_hook(seen, (-1, "final"), pinned))
            on(self.module.get_output_embeddings(), _unembedding_hook(seen))
            with torch.set_grad_enabled(embedding_scale.requires_grad):
                seen.logits = self.module(input_ids=tokens.expand(len(embedding_scale), -1), use_cache=False).logits
        return seen

    def _attention(self, seen: Seen, pinned: Seen | None) -> Callable[..., Any]:
        def replace(original: Callable[..., Any]) -> Callable[..., Any]:
            def attend(
                attention: nn.Module, query: Tensor, key: Tensor, value: Tensor, *rest: Any, **named: Any
            ) -> tuple[Tensor, Tensor]:
                if pinned is not None:
                    pattern = pinned.patterns[self.layer_of[attention]]
                    return mixed(pattern, value), pattern.expand(len(value), -1, -1, -1)
                heads, patterns = original(attention, query, key, value, *rest, **named)
                seen.patterns[self.layer_of[attention]] = patterns[0]
                return heads, patterns

            return attend

        return replace

    def _write_hook(
        self, seen: Seen, layer: int, block: HookedBlock, changes: Changes | None
    ) -> tuple[nn.Module, Callable[..., Any], bool]:
        """Returns the module at the write point, a hook that keeps and replaces what is there, and if it is before."""

        def replaced(found: Tensor) -> Tensor:
            seen.written[layer] = found
            return found if changes is None else changes.replace(layer, seen)

        def after(_module: nn.Module, _given: Any, out: Any) -> Any:
            return (replaced(out[0]), *out[1:]) if isinstance(out, tuple) else replaced(out)

        def before(_module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return (replaced(given[0]), *given[1:])

        if self.writes == "attn.hook_z":
            return block.output, before, True
        places = {
            "mlp.hook_out": block.mlp,
            "hook_mlp_out": block.mlp_post_norm or block.mlp,
            "attn.hook_out": block.attention,
            "hook_attn_out": block.attention_post_norm or block.attention,
        }
        return places[self.writes], after, False


def _norm_hook(seen: Seen, key: tuple[int, str], pinned: Seen | None) -> Callable[..., Tensor]:
    def hook(norm: nn.Module, given: tuple[Tensor, ...], _out: Tensor) -> Tensor:
        x = given[0]
        seen.norm_inputs[key] = x
        n = normalized(norm, x, measured_on=x if pinned is None else pinned.norm_inputs[key])
        out = weighted(norm, n)
        if key[1] == "mlp_norm":
            seen.before_mlp[key[0]] = {"hook_resid_mid": x, "ln2.hook_normalized": n, "mlp.hook_in": out}
        return out

    return hook


def _no_norm_hook(seen: Seen, layer: int) -> Callable[..., None]:
    def hook(_mlp: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.before_mlp[layer] = {"hook_resid_mid": given[0], "mlp.hook_in": given[0]}

    return hook


def _mlp_hook(seen: Seen, layer: int, instead: Tensor | None) -> Callable[..., Tensor]:
    def hook(_mlp: nn.Module, _given: tuple[Tensor, ...], out: Tensor) -> Tensor:
        seen.mlp_outputs[layer] = out
        return out if instead is None else instead

    return hook


def _unembedding_hook(seen: Seen) -> Callable[..., None]:
    def hook(_unembedding: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
        seen.final, seen.uncapped = given[0], out

    return hook
