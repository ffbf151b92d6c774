"""Makes the packaged compiled programs: RASP to small transformers, by tracr (Lindner et al. 2023, 2301.05062).

Run once, in an environment of its own: `pip install tracr-pypi` brings jax, which circuitbase does not need, and
then `python -m circuitbase.evaluation.make_programs [FOLDER]`. Nothing here is random.
"""

import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from circuitbase.evaluation.rasp_programs import PROGRAMS, Program
from circuitbase.evaluation.small_files import save_small
from circuitbase.evaluation.small_transformer import SmallConfig, SmallTransformer
from circuitbase.evaluation.structural_edges import structural_edges

BOS = "compiler_bos"  # tracr's own name
EXAMPLES = 16


def make_program(name: str, folder: Path) -> Path:
    """Compiles one program and writes its fixture; returns the file."""
    from tracr.compiler import compiling

    program = PROGRAMS[name]
    expression = program.build()
    compiled = compiling.compile_rasp_to_model(
        expression, set(program.vocabulary), program.length, causal=program.causal
    )
    vocabulary = [BOS, *program.vocabulary]
    label = expression.label
    values = getattr(compiled.output_encoder, "encoding_map", None)
    # a program that returns a number gets a second output that is always 0, so that it has a logit difference
    outputs = [str(value) for value in values] if values else [label.rpartition("_")[0], "zero"]
    read = [f"{label}:{value}" for value in outputs] if values else [label]
    model = replica(compiled, vocabulary, read=read, d_vocab_out=len(outputs), causal=program.causal)
    tokens = example_tokens(program)
    expected = [expected_logits(compiled, [vocabulary[token] for token in row], read, len(outputs)) for row in tokens]
    facts = {
        "program": name,
        "says": program.says,
        "vocabulary": vocabulary,
        "vocabulary_out": outputs,
        "directions": list(compiled.residual_labels),
        "edges": structural_edges(model, compiled.residual_labels),
    }
    path = folder / f"{name}.safetensors"
    save_small(model, path, facts=facts, arrays={"tokens": tokens, "logits": torch.from_numpy(np.stack(expected))})
    return path


def replica(
    compiled: Any,
    vocabulary: Sequence[str],
    *,
    read: Sequence[str],
    d_vocab_out: int,
    causal: bool,
) -> SmallTransformer:
    """Returns a small transformer with the weights of a model that tracr compiled."""
    options, labels = compiled.model_config, list(compiled.residual_labels)
    config = SmallConfig(
        n_layers=options.num_layers, n_heads=options.num_heads, d_model=len(labels), d_head=options.key_size,
        d_mlp=options.mlp_hidden_size, d_vocab=len(vocabulary), d_vocab_out=d_vocab_out,
        n_positions=compiled.params["pos_embed"]["embeddings"].shape[0], norm=None, causal=causal, activation="relu",
        score_scale=options.key_size**-0.5, biases=False,
    )  # fmt: skip
    given = {place: {name: np.array(array) for name, array in arrays.items()}
             for place, arrays in compiled.params.items()}  # fmt: skip
    assert not any(arrays["b"].any() for place, arrays in given.items() if "b" in arrays), "tracr uses no biases"
    rows = [compiled.input_encoder.encoding_map[token] for token in vocabulary]
    state = {"W_E": given["token_embed"]["embeddings"][rows], "W_pos": given["pos_embed"]["embeddings"]}
    state["W_U"] = unembedding(labels, read, d_vocab_out)
    by_head = (config.d_model, config.n_heads, config.d_head)
    for layer in range(config.n_layers):
        place = f"transformer/layer_{layer}"
        for ours, theirs in (("W_Q", "query"), ("W_K", "key"), ("W_V", "value")):
            state[f"blocks.{layer}.{ours}"] = given[f"{place}/attn/{theirs}"]["w"].reshape(by_head).swapaxes(0, 1)
        state[f"blocks.{layer}.W_O"] = given[f"{place}/attn/linear"]["w"].reshape(
            config.n_heads, config.d_head, config.d_model
        )
        state[f"blocks.{layer}.W_in"] = given[f"{place}/mlp/linear_1"]["w"]
        state[f"blocks.{layer}.W_out"] = given[f"{place}/mlp/linear_2"]["w"]
    model = SmallTransformer(config)
    model.load_state_dict({name: torch.tensor(array, dtype=torch.float32) for name, array in state.items()})
    return model


def unembedding(labels: Sequence[str], read: Sequence[str], d_vocab_out: int) -> np.ndarray:
    """Returns [d_model, output]: output i reads the residual direction `read[i]`; further outputs read nothing."""
    found = np.zeros((len(labels), d_vocab_out), dtype=np.float32)
    for column, label in enumerate(read):
        found[labels.index(label), column] = 1.0
    return found


def expected_logits(compiled: Any, tokens: list[str], read: Sequence[str], d_vocab_out: int) -> np.ndarray:
    """Returns what tracr's own run of the model leaves in the output directions, [position, output]."""
    final = np.array(compiled.apply(tokens).transformer_output)[0]
    return (final @ unembedding(list(compiled.residual_labels), read, d_vocab_out)).astype(np.float32)


def example_tokens(program: Program) -> torch.Tensor:
    """Returns [example, position] token ids: inputs spread evenly over all there are, BOS first."""
    every = list(product(range(1, len(program.vocabulary) + 1), repeat=program.length))
    chosen = every[:: max(1, len(every) // EXAMPLES)][:EXAMPLES]
    return torch.tensor([(0, *row) for row in chosen])


def main(folder: Path) -> None:
    """Makes every program's fixture and says how large it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROGRAMS:
        path = make_program(name, folder)
        sys.stdout.write(f"{path} {path.stat().st_size}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "models")
