"""What each supported architecture is like, as far as no weights are needed to say it.

`adapters` says, for the same architectures, where a loaded model's parts are.
"""

from dataclasses import dataclass
from typing import Literal

from circuitbase.errors import ModelError


@dataclass(frozen=True)
class Architecture:
    """One architecture, by the name in a config.json's `architectures`.

    `norm_before` and `norm_after` say whether an MLP has a norm before it and behind it; without one
    before there is no `ln2`, without one behind `mlp.hook_out` and `hook_mlp_out` are the same.
    """

    name: str
    norm: Literal["layer", "rms"]
    norm_before: bool = True
    norm_after: bool = False


ARCHITECTURES = {
    each.name: each
    for each in (
        Architecture(name="GPT2LMHeadModel", norm="layer"),
        Architecture(name="GPTNeoXForCausalLM", norm="layer"),
        Architecture(name="LlamaForCausalLM", norm="rms"),
        Architecture(name="MistralForCausalLM", norm="rms"),
        Architecture(name="Qwen2ForCausalLM", norm="rms"),
        Architecture(name="Qwen3ForCausalLM", norm="rms"),
        Architecture(name="Gemma2ForCausalLM", norm="rms", norm_after=True),
        Architecture(name="Gemma3ForCausalLM", norm="rms", norm_after=True),
        Architecture(name="Gemma3ForConditionalGeneration", norm="rms", norm_after=True),
        Architecture(name="Olmo2ForCausalLM", norm="rms", norm_before=False, norm_after=True),
        Architecture(name="Phi3ForCausalLM", norm="rms"),
    )
}


def architecture(name: str) -> Architecture:
    """Returns a supported architecture; raises ModelError that lists them for another."""
    if name not in ARCHITECTURES:
        raise ModelError(
            f"the architecture must be one of {', '.join(ARCHITECTURES)}, got {name}; another one needs a line in "
            "circuitbase/tracing/architectures.py (its name and kind of norm) and an adapter in "
            "circuitbase/tracing/adapters.py (where its norms, its value and output weights by head, its MLPs and its "
            "unembedding are)"
        )
    return ARCHITECTURES[name]
