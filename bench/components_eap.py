"""Measures edge attribution patching beside one hook per node, and beside one forward and backward pass."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

from bench.attribution_meter import Meter
from bench.components_plain import plain_eap
from bench.components_subject import ComponentSubject, gpt2_small, random_pairs
from bench.measurement import Measurement
from circuitbase.tracing.components.attribution import attribute
from circuitbase.tracing.components.attribution_options import AttributionOptions
from circuitbase.tracing.components.pairs import Pair

N_PAIRS, N_TOKENS = 8, 12
MEGABYTE = 1e6
MOST_PASSES = 4.0  # what EAP may cost, in forward and backward passes
LARGEST_DIFFERENCE = 1e-4  # float32, sums in another order


def ours(subject: ComponentSubject, pairs: Sequence[Pair]) -> Any:
    """Returns the scores as circuitbase computes them."""
    return attribute(subject.components, pairs, AttributionOptions("eap", batch_size=len(pairs))).scores


def plain(subject: ComponentSubject, pairs: Sequence[Pair]) -> Any:
    """Returns the scores by one hook per node."""
    return plain_eap(subject.module, pairs).numpy()


def one_pass(subject: ComponentSubject, pairs: Sequence[Pair]) -> None:
    """Runs Hugging Face's module from the embeddings to the last logits and back."""
    module = subject.module
    embeddings = module.transformer.wte(torch.tensor([pair.clean for pair in pairs])).requires_grad_()
    logits = module(inputs_embeds=embeddings, use_cache=False, logits_to_keep=1).logits[:, -1]
    rows = torch.arange(len(pairs))
    correct, wrong = ([getattr(pair, side)[0] for pair in pairs] for side in ("correct", "wrong"))
    (logits[rows, correct] - logits[rows, wrong]).sum().backward()


WORKS: tuple[Callable[[ComponentSubject, Sequence[Pair]], Any], ...] = (ours, plain, one_pass)


def eap_rows(subject: ComponentSubject, *, repeats: int) -> list[Measurement]:
    """Returns the seconds of each, the cost in passes, and the memory of each in a process of its own.

    They take turns, so that a busy moment hits all; the medians are told.
    """
    pairs = random_pairs(n_pairs=N_PAIRS, n_tokens=N_TOKENS)
    said("scoring edges beside one hook per node")
    found, expected, _ = (work(subject, pairs) for work in WORKS)
    apart = float(abs(found - expected).max() / abs(expected).max())
    taken: dict[str, list[float]] = {work.__name__: [] for work in WORKS}
    for _ in range(repeats):
        for work in WORKS:
            start = time.perf_counter()
            work(subject, pairs)
            taken[work.__name__].append(time.perf_counter() - start)
    wall = {name: statistics.median(seconds) for name, seconds in taken.items()}
    said("measuring memory, each in a process of its own")
    memory = {work.__name__: _memory(work.__name__) for work in WORKS}
    name = f"EAP, {subject.components.graph.n_edges:,} edges, {N_TOKENS} tokens, batch of {N_PAIRS}"
    return [
        Measurement(name, wall["ours"], "s", baseline=wall["plain"], better="lower"),
        Measurement(
            "  in forward and backward passes",
            wall["ours"] / wall["one_pass"],
            "passes",
            baseline=wall["plain"] / wall["one_pass"],
            goal=MOST_PASSES,
            better="lower",
        ),
        Measurement("  one forward and backward pass", wall["one_pass"], "s", better="lower"),
        Measurement("  memory above the loaded model", memory["ours"], "MB", baseline=memory["plain"], better="lower"),
        Measurement("  memory of one pass", memory["one_pass"], "MB", better="lower"),
        Measurement("  largest difference, of the largest score", apart, "", goal=LARGEST_DIFFERENCE, better="lower"),
    ]


def said(sentence: str) -> None:
    """Says on standard error what is measured next."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr)


def _memory(name: str) -> float:
    """Returns the megabytes that a work takes above the loaded model, in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(memory_above, name, torch.get_num_threads()).result()


def memory_above(name: str, threads: int) -> float:
    """Loads the model, runs a work once, and returns the megabytes that it took at most."""
    torch.set_num_threads(threads)
    work = {each.__name__: each for each in WORKS}[name]
    subject, few = gpt2_small(), random_pairs(n_pairs=1, n_tokens=2)
    one_pass(subject, few)  # what libraries take when first used is not the work's
    with Meter() as meter:
        work(subject, random_pairs(n_pairs=N_PAIRS, n_tokens=N_TOKENS))
    return (meter.taken["own_peak"] - meter.taken["own_before"]) / MEGABYTE
