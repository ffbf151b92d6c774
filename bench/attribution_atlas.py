"""Traces per second of the packaged prompt sets in one process: from token ids to a closed file."""

import tempfile
import time
from pathlib import Path

import torch

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


def atlas_rate(*, threads: int) -> list[Measurement]:
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

        def one(prompt: PreparedPrompt, options: TraceOptions) -> None:
            store.save(trace(model, dictionary, prompt.prompt, options, roles=prompt.roles))

        for prompt, options in prompts[:WARM_UP]:
            one(prompt, options)
        begun = time.perf_counter()
        for prompt, options in prompts:
            one(prompt, options)
        seconds = time.perf_counter() - begun
        size = sum(path.stat().st_size for path in (Path(folder) / "store").iterdir())
    return [
        Measurement(f"atlas, {len(prompts)} prompts to files", len(prompts) / seconds, "traces/s", goal=GOAL),
        Measurement("atlas, mean size of a file", size / len(prompts) / 1e3, "kB", better="lower"),
    ]
