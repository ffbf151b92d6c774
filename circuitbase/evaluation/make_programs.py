"""Makes the packaged compiled programs: RASP to small transformers, by tracr (Lindner et al. 2023, 2301.05062).

Run once, in an environment of its own: `pip install tracr-pypi` brings jax, which circuitbase does not need, and
then `python -m circuitbase.evaluation.make_programs [FOLDER]`. Nothing here is random.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from circuitbase.evaluation.small_files import save_small
from circuitbase.evaluation.small_transformer import SmallConfig, SmallTransformer
from circuitbase.evaluation.structural_edges import structural_edges

BOS, PAD = "compiler_bos", "compiler_pad"  # tracr's own names
EXAMPLES = 16


@dataclass(frozen=True)
class Program:
    """A RASP program and the inputs it is compiled for."""

    build: Callable[[], Any]
    """Returns tracr's expression."""
    vocabulary: tuple[str, ...]
    length: int
    """Tokens of an input, BOS not counted."""
    causal: bool
    says: str
    """What it computes, for people."""


def frac_prevs() -> Any:
    """Returns the share of x among the tokens so far."""
    from tracr.compiler import lib
    from tracr.rasp import rasp

    return lib.make_frac_prevs(rasp.tokens == "x")


def reverse() -> Any:
    """Returns the tokens in reverse order; where to look is computed from the length."""
    from tracr.compiler import lib
    from tracr.rasp import rasp

    opposite = rasp.SequenceMap(lambda n, i: n - i - 1 if n > i else None, lib.make_length(), rasp.indices)
    there = rasp.Select(rasp.indices, opposite.named("opposite"), rasp.Comparison.EQ)
    return rasp.Aggregate(there, rasp.tokens).named("reverse")


def induction() -> Any:
    """Returns what followed the current token when it came before."""
    from tracr.rasp import rasp

    before = rasp.Select(rasp.indices, rasp.indices, lambda key, query: key == query - 1)
    previous = rasp.Aggregate(before, rasp.tokens).named("previous")
    return rasp.Aggregate(rasp.Select(previous, rasp.tokens, rasp.Comparison.EQ), rasp.tokens).named("next")


STATE_OF = {"city1": "state1", "city2": "state2", "city3": "state3", "city4": "state1", "city5": "state2",
            "city6": "state3"}  # fmt: skip
CAPITAL_OF = {"state1": "capital1", "state2": "capital2", "state3": "capital3"}


def two_hop() -> Any:
    """Returns the capital of the city's state, asked at `is`; the Aggregate between the Maps keeps them two MLPs."""
    from tracr.rasp import rasp

    state = rasp.Map(lambda token: STATE_OF.get(token), rasp.tokens).named("state")
    asked = rasp.Select(rasp.tokens, rasp.tokens, lambda key, query: key in STATE_OF and query == "is")
    moved = rasp.Aggregate(asked, state).named("moved")
    return rasp.Map(lambda found: CAPITAL_OF.get(found), moved).named("capital")


NAMES = ("ann", "bob", "cid", "dan")


def indirect_object() -> Any:
    """Returns, at `to`, the name that comes once.

    a0 and m0 count each name, m1 marks the one that came before, a2 reads it at `to`, a3 reads the other.
    """
    from tracr.rasp import rasp

    same = rasp.Select(rasp.tokens, rasp.tokens, rasp.Comparison.EQ)
    count = rasp.SelectorWidth(same).named("count")
    again = rasp.categorical(rasp.Map(lambda found: found == 2, count)).named("again")
    marked = rasp.Select(again, rasp.tokens, lambda key, query: bool(key) and query == "to")
    subject = rasp.Aggregate(marked, rasp.tokens).named("subject")
    other = rasp.Select(rasp.tokens, subject, lambda key, query: key in NAMES and query in NAMES and key != query)
    return rasp.Aggregate(other, rasp.tokens).named("answer")


PROGRAMS = {
    "frac-prevs": Program(frac_prevs, ("x", "y"), 4, True, "the share of x among the tokens so far"),
    "reverse": Program(reverse, ("a", "b", "c"), 4, False, "the tokens in reverse order"),
    "compiled-induction": Program(induction, tuple("abcd"), 6, True, "what followed the current token before"),
    "two-hop": Program(two_hop, (*STATE_OF, "is"), 2, True, "the capital of the state of the city"),
    "indirect-object": Program(indirect_object, (*NAMES, "to"), 4, True, "the name that comes once"),
}


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
