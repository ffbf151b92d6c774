"""Measures influence propagation at some lengths of prompt, beside one forward and backward pass."""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from bench.attribution_meter import Meter
from bench.components_eap import MEGABYTE, one_pass
from bench.components_subject import ComponentSubject, gpt2_small, random_pairs
from bench.measurement import Measurement
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.tracing.components.component_trace import TracedComponents, traced_components
from circuitbase.tracing.targets import RoleTarget

# tokens -> the threshold: a complete graph of 256 tokens has 600 million edges
LENGTHS = {16: 0.0, 256: 0.01}


def traced(subject: ComponentSubject, *, n_tokens: int) -> TracedComponents:
    """Returns the unpruned component graph of a random prompt, which ends in the difference of two logits."""
    (pair,) = random_pairs(n_pairs=1, n_tokens=n_tokens)
    options = ComponentOptions(target="roles", relative_tau=LENGTHS[n_tokens])
    role = RoleTarget("answer-distractor", pair.correct[0], pair.wrong[0])
    return traced_components(subject.components, torch.tensor(pair.clean), options, targets=(role,), token_string=str)


def propagation_rows(subject: ComponentSubject, *, repeats: int) -> list[Measurement]:
    """Returns the seconds and the memory of a trace at each length, and its cost in passes."""
    found: list[Measurement] = []
    for n_tokens, threshold in LENGTHS.items():
        pairs = random_pairs(n_pairs=1, n_tokens=n_tokens)
        taken: dict[str, list[float]] = {"trace": [], "pass": []}
        for _ in range(repeats):
            start = time.perf_counter()
            trace = traced(subject, n_tokens=n_tokens)
            middle = time.perf_counter()
            one_pass(subject, pairs)
            taken["trace"].append(middle - start)
            taken["pass"].append(time.perf_counter() - middle)
        trace_wall, pass_wall = (statistics.median(seconds) for seconds in taken.values())
        edges = sum(block.n_edges for block in trace.rows.blocks)
        above = f", relative tau {threshold:g}" if threshold else ""
        found += [
            Measurement(f"influence propagation, {n_tokens} tokens{above}", trace_wall, "s", better="lower"),
            Measurement("  in forward and backward passes", trace_wall / pass_wall, "passes", better="lower"),
            Measurement("  nodes", float(len(trace.nodes)), ""),
            Measurement("  edges", float(edges), ""),
            Measurement("  memory above the loaded model", _memory(n_tokens), "MB", better="lower"),
        ]
    return found


def _memory(n_tokens: int) -> float:
    """Returns the megabytes that a trace takes above the loaded model, in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(memory_above, n_tokens, torch.get_num_threads()).result()


def memory_above(n_tokens: int, threads: int) -> float:
    """Loads the model, traces once, and returns the megabytes that it took at most."""
    torch.set_num_threads(threads)
    subject = gpt2_small()
    one_pass(subject, random_pairs(n_pairs=1, n_tokens=2))  # what libraries take when first used is not the trace's
    with Meter() as meter:
        traced(subject, n_tokens=n_tokens)
    return (meter.taken["own_peak"] - meter.taken["own_before"]) / MEGABYTE
