"""Seconds per prompt on a device, where they go, and how near they come to the device's own limit.

The shape is that of Gemma-2-2B in bfloat16; a scale makes everything smaller, so that the same path can be tried on
a CPU.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bench.attribution_device_subject import ARCHITECTURES, random_dictionary, random_model, random_weights
from bench.attribution_shape import BOS
from bench.attribution_stages import Stages, settled_time
from bench.measurement import Measurement
from circuitbase.graph.trace import Trace
from circuitbase.tracing.attribution import trace
from circuitbase.tracing.options import TraceOptions

GOALS = {10: 1.0, 64: 5.0}  # tokens -> seconds a prompt, warm
REPEATS = 3
N_FEATURES = 16_384
SHOWN = 15  # operations of a profile
GB = 1e9


@torch.no_grad()
def device_seconds(
    device: str, *, architecture: str, scale: float, options: dict[str, Any], profiled: bool
) -> list[Measurement]:
    """Traces prompts of both lengths with resident rows and with rows that stay on the host."""
    chosen, generator = ARCHITECTURES[architecture], torch.Generator(device).manual_seed(0)
    asked = TraceOptions(dtype=chosen.dtype, **options)
    rate = matrix_rate(device, size=max(512, round(8192 * min(1.0, scale))))
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as folder:
        model = random_model(chosen, Path(folder), device, scale, generator)
        weights = random_weights(model, max(128, round(N_FEATURES * scale)), generator)
        found = [
            Measurement(f"{_described(device)}, float32 products", rate / 1e12, "TFLOP/s"),
            Measurement(f"{architecture}, model and dictionary", _held(device), "GB", better="lower"),
        ]
        for kept in ("resident", "lazy"):
            dictionary = random_dictionary(model, weights, resident=kept == "resident")
            if kept == "lazy":
                weights.clear()
            for tokens, goal in GOALS.items():
                generator = torch.Generator().manual_seed(tokens)
                ids = torch.randint(1, model.identity.d_vocab, (tokens,), generator=generator).tolist()
                prompt = model.tokenizer.read([BOS, *ids])
                found += _one_length(
                    lambda dictionary=dictionary, prompt=prompt: trace(model, dictionary, prompt, asked),
                    f"{architecture}, {tokens} tokens, {kept} rows",
                    device=device,
                    goal=goal if scale >= 1 else None,
                    rate=rate,
                    profiled=profiled,
                )
    return found


def matrix_rate(device: str, *, size: int) -> float:
    """Returns operations per second of a square float32 product, as fast as this device does it."""
    a = torch.randn(size, size, device=device)
    seconds = []
    for _ in range(4):
        begun = settled_time()
        a @ a
        seconds.append(settled_time() - begun)
    return float(2 * size**3 / min(seconds))


def _one_length(
    traced: Callable[[], Trace], name: str, *, device: str, goal: float | None, rate: float, profiled: bool
) -> list[Measurement]:
    with FlopCounterMode(display=False) as counter:
        traced()  # what comes first also loads kernels
    seconds = []
    for _ in range(REPEATS):
        before = _reset(device)
        begun = settled_time()
        found = traced()
        seconds.append(settled_time() - begun)
    peak = _peak(device)
    with Stages() as stages:  # apart, as waiting for the device after each stage takes time
        traced()
    if profiled:
        _profile(traced, name, device)
    counts, taken = found.metadata.counts, statistics.median(seconds)
    return [
        Measurement(f"{name}, {counts.active_features:,} active", taken, "s", goal=goal, better="lower"),
        *(
            Measurement(f"  of it {stage}", spent, "s", better="lower")
            for stage, spent in sorted(stages.seconds.items(), key=lambda each: -each[1])
            if spent > 0.02 * seconds[-1]
        ),
        Measurement(f"{name}, edges", counts.edges, ""),
        Measurement(f"{name}, products", counter.get_total_flops() / 1e12, "TFLOP", better="lower"),
        Measurement(f"{name}, of the float32 rate", counter.get_total_flops() / taken / rate, ""),
        Measurement(f"{name}, memory above the loaded", peak - before, "GB", better="lower"),
    ]


def _profile(traced: Callable[[], Trace], name: str, device: str) -> None:
    """Says on standard error which operations take longest."""
    on_gpu = device.startswith("cuda")
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as profiler:
        traced()
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    print(f"{name}\n{profiler.key_averages().table(sort_by=order, row_limit=SHOWN)}", file=sys.stderr)


def _described(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _held(device: str) -> float:
    return torch.cuda.memory_allocated(device) / GB if device.startswith("cuda") else 0.0


def _reset(device: str) -> float:
    """Starts the device's peak anew and returns what is held now; 0 where the device keeps no count."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    return _held(device)


def _peak(device: str) -> float:
    return torch.cuda.max_memory_allocated(device) / GB if device.startswith("cuda") else 0.0
