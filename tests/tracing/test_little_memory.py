"""Devices with little memory, and several threads: other blocks and batches, the same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from circuitbase.errors import ModelError
from circuitbase.store.trace_file import to_bytes
from circuitbase.tracing import prompt_batches
from circuitbase.tracing.attribution import trace, trace_many
from circuitbase.tracing.effects import FrozenPaths, RowBlock
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.target_blocks import Targets
from tests.tiny_models import PROMPT
from tests.tracing.cases import CASES, WHOLE, Loaded, loaded


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return loaded(tmp_path_factory.mktemp("memory"), CASES[3])


def test_the_number_of_threads_changes_no_byte(tmp_path: Path) -> None:
    found = loaded(tmp_path, CASES[3], dtype="float32")
    prompt = found.model.tokenizer.read(PROMPT)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # as in a worker: the forward pass alone would depend on it
        files = {
            to_bytes(trace(found.model, found.dictionary, prompt, TraceOptions(prune=False), threads=threads))
            for threads in (None, 1, 3)
        }
    finally:
        torch.set_num_threads(before)
    assert len(files) == 1


def test_a_device_that_runs_out_of_memory_gets_smaller_blocks(found: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found.trace(WHOLE).graph
    rows = FrozenPaths.rows
    refused: list[int] = []

    def with_little_memory(self: FrozenPaths, targets: Targets) -> RowBlock:
        if len(targets) > 5:
            refused.append(len(targets))
            raise torch.cuda.OutOfMemoryError("out of memory")
        return rows(self, targets)

    monkeypatch.setattr(FrozenPaths, "rows", with_little_memory)
    again = found.trace(WHOLE).graph
    assert refused
    assert np.abs(again.edge_weight - whole.edge_weight).max() <= 1e-6 * np.abs(whole.edge_weight).max()


def test_a_device_without_memory_for_one_target_is_a_sentence_with_the_sizes(
    found: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_memory(_self: FrozenPaths, _targets: Targets) -> RowBlock:
        raise torch.cuda.OutOfMemoryError("tried to allocate 8 GiB")

    monkeypatch.setattr(FrozenPaths, "rows", without_memory)
    with pytest.raises(ModelError, match=r"too little memory for one target over \d positions of width 16 .* 8 GiB"):
        found.trace(WHOLE)


def test_a_batch_that_does_not_fit_is_halved(found: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    run, sizes = prompt_batches.run_prompts, []

    def small(model, prompts, most=1):
        sizes.append(len(prompts))
        if len(prompts) > most:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return run(model, prompts)

    monkeypatch.setattr(prompt_batches, "run_prompts", small)
    prompt = found.model.tokenizer.read(PROMPT)
    assert len(list(trace_many(found.model, found.dictionary, [prompt] * 4, WHOLE))) == 4
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    monkeypatch.setattr(prompt_batches, "run_prompts", lambda model, prompts: small(model, prompts, most=0))
    with pytest.raises(ModelError, match=f"too little memory to run a prompt of {len(prompt.token_ids)} tokens"):
        found.trace(WHOLE)
