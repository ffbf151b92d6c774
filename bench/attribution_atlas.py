"""Traces per second of the packaged prompt sets in one process: from token ids to a closed file."""

import tempfile
import time
from pathlib import Path

import torch

from bench.attribution_stages import Stages
from bench.measurement import Measurement
from circuitbase.demo.packaged import model_folder, prompt_sets, transcoder_folder
from circuitbase.store.prompt_file import read_prompts
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.attribution import trace
from circuitbase.tracing.dictionaries import load_dictionary
from circuitbase.tracing.models import load_model
from circuitbase.tracing.options import TraceOptions
from circuitbase.workers.intake import intake
from circuitbase.workers.prepared_prompt import PreparedPrompt

GOAL = 30.0
WARM_UP = 10
THREADS = 1  # a second one gains nothing on products this small, and is waited for on a busy machine
SHOWN = 0.02  # of the time


def atlas_rate(*, threads: int = THREADS) -> list[Measurement]:
    """Traces every prompt of every packaged set, as `circuitbase submit` would, into files in a new folder."""
    torch.set_num_threads(threads)
    model = load_model(model_folder())
    dictionary = load_dictionary(transcoder_folder(), model=model)
    prompts: list[tuple[PreparedPrompt, TraceOptions]] = []
    for path in prompt_sets().values():
        with intake(read_prompts(str(path), standard_input=()), model.tokenizer) as found:
            options = TraceOptions(target=found.resolved("auto"))
            prompts += [(prompt, options) for prompt in found.prompts(options.target)]
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as folder:
        store = TraceStore(str(Path(folder) / "store"))

        saving = 0.0
        for prompt, options in prompts[:WARM_UP]:
            store.save(trace(model, dictionary, prompt.prompt, options, roles=prompt.roles))
        begun, processor = time.perf_counter(), time.process_time()
        with Stages() as stages:
            for prompt, options in prompts:
                found_trace = trace(model, dictionary, prompt.prompt, options, roles=prompt.roles)
                traced = time.perf_counter()
                store.save(found_trace)
                saving += time.perf_counter() - traced
        seconds, processor = time.perf_counter() - begun, time.process_time() - processor
        size = sum(path.stat().st_size for path in (Path(folder) / "store").iterdir())
    return [
        Measurement(f"atlas, {len(prompts)} prompts to files", len(prompts) / seconds, "traces/s", goal=GOAL),
        Measurement("atlas, processor", 1e3 * processor / len(prompts), "ms/trace", better="lower"),
        *(
            Measurement(f"  of it {stage}", 1e3 * spent / len(prompts), "ms/trace", better="lower")
            for stage, spent in sorted([*stages.seconds.items(), ("saving", saving)], key=lambda each: -each[1])
            if spent > SHOWN * seconds
        ),
        Measurement("atlas, mean size of a file", size / len(prompts) / 1e3, "kB", better="lower"),
    ]
