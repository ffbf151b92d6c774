from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from circuitbase.errors import InputError, ModelError
from circuitbase.graph.trace import Trace
from circuitbase.settings import load_settings
from circuitbase.tracing import attribution, dictionaries, models
from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
from circuitbase.tracing.options import TraceOptions
from circuitbase.tracing.plan import plan
from circuitbase.tracing.tokenizing import PromptTokenizer
from circuitbase.workers.job_request import JobRequest
from circuitbase.workers.process import WorkerProcess
from tests.tiny_models import PROMPT, write_tiny_dictionary, write_tiny_model


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what is loaded, by the folder's name."""
    counts: Counter[str] = Counter()
    load_model, load_dictionary = models.load_model, dictionaries.load_dictionary

    def counting_model(folder: str, **rest: object) -> object:
        counts[Path(folder).parent.name] += 1
        return load_model(folder, **rest)  # type: ignore[arg-type]

    def counting_dictionary(folder: str, **rest: object) -> object:
        counts[Path(folder).name] += 1
        return load_dictionary(folder, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(models, "load_model", counting_model)
    monkeypatch.setattr(dictionaries, "load_dictionary", counting_dictionary)
    return counts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the models `one` and `two`, and dictionaries `one-a`, `one-b` and `two-a` for them."""
    found = tmp_path_factory.mktemp("process")
    for seed, name in enumerate(("one", "two")):
        model = write_tiny_model(found / name / "model", seed=seed)
        for letter in "ab"[: 2 - seed]:
            write_tiny_dictionary(found / f"{name}-{letter}", model, seed=ord(letter))
    return found


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    found = WorkerProcess(load_settings(), device="cpu")
    yield found
    found.close()


def job(folder: Path, dictionary: str, options: TraceOptions | None = None) -> tuple[JobRequest, str]:
    """Returns a request and the id that its trace must have."""
    options = options or TraceOptions()
    model_folder = folder / dictionary.split("-")[0] / "model"
    prompt = PromptTokenizer(model_folder).read(PROMPT)
    model = read_model_identity(model_folder)
    features = read_dictionary_identity(folder / dictionary, model=model, any_model_name=True)
    request = JobRequest(
        model=str(model_folder),
        dictionary=str(folder / dictionary),
        prompt=prompt,
        roles=(),
        options=options,
        any_model_name=True,
    )
    return request, plan(model, features, prompt, (), options).trace_id


def run(process: WorkerProcess, folder: Path, *names: str) -> None:
    for name in names:
        request, trace_id = job(folder, name)
        assert process.trace(request, trace_id=trace_id).metadata.trace_id == trace_id


def test_a_model_shared_by_two_dictionaries_is_loaded_once(
    process: WorkerProcess, folder: Path, loaded: Counter[str]
) -> None:
    run(process, folder, "one-a", "one-b", "one-a")
    assert loaded == {"one": 1, "one-a": 1, "one-b": 1}


def test_models_beyond_the_budget_are_loaded_again(
    monkeypatch: pytest.MonkeyPatch, folder: Path, loaded: Counter[str]
) -> None:
    monkeypatch.setenv("CIRCUITBASE_MODEL_MEMORY", "64KB")
    process = WorkerProcess(load_settings(), device="cpu")
    run(process, folder, "one-a", "one-a", "two-a", "one-a")
    assert loaded["one"] == 2
    assert process.kept.budget == 64_000
    monkeypatch.setenv("CIRCUITBASE_MODEL_MEMORY", "1GiB")
    roomy = WorkerProcess(load_settings(), device="cpu")
    loaded.clear()
    run(roomy, folder, "one-a", "two-a", "one-a")
    assert loaded == {"one": 1, "one-a": 1, "two": 1, "two-a": 1}


def test_another_dtype_is_another_model(process: WorkerProcess, folder: Path, loaded: Counter[str]) -> None:
    run(process, folder, "one-a")
    request, trace_id = job(folder, "one-a", TraceOptions(dtype="float64"))
    assert process.trace(request, trace_id=trace_id).metadata.dtype == "float64"
    assert loaded == {"one": 2, "one-a": 2}


def test_a_device_without_the_memory_for_a_trace_gets_a_second_try_with_nothing_else_loaded(
    process: WorkerProcess, folder: Path, loaded: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(process, folder, "two-a")
    tracing = attribution.trace
    tries = []

    def full(*given: Any, **rest: Any) -> Trace:
        tries.append(process.kept.size)
        if len(tries) % 2:
            raise ModelError("the device has too little memory") from torch.cuda.OutOfMemoryError("2.00 GiB")
        return tracing(*given, **rest)

    monkeypatch.setattr(attribution, "trace", full)
    run(process, folder, "one-a")
    assert tries[1] < tries[0]
    assert loaded == {"two": 1, "two-a": 1, "one": 1, "one-a": 1}
    with pytest.raises(ModelError, match="too little memory"):  # nothing is left to drop
        run(process, folder, "one-a")
    assert len(tries) == 3


def test_without_a_setting_half_of_the_devices_memory_may_be_taken(process: WorkerProcess) -> None:
    import psutil

    assert process.kept.budget == psutil.virtual_memory().total // 2


def test_a_budget_that_is_no_size_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUITBASE_MODEL_MEMORY", "much")
    with pytest.raises(InputError, match="model_memory"):
        load_settings()


def test_a_job_takes_every_option_to_its_trace(process: WorkerProcess, folder: Path) -> None:
    options = TraceOptions(heads=True, silent=((1, 3),), max_features=9, keep_mass=0.9, node_threshold=0.9)
    request, trace_id = job(folder, "one-a", options)
    found = process.trace(JobRequest.from_json(request.to_json()), trace_id=trace_id)
    assert found.metadata.options == options.numeric()
    assert found.graph.head_weight is not None


def test_a_dictionary_that_names_another_model_is_taken_only_on_request(
    process: WorkerProcess, folder: Path, tmp_path: Path
) -> None:
    write_tiny_dictionary(tmp_path / "other", folder / "one" / "model", model_name="another")
    request, _ = job(folder, "one-a")
    other = replace(request, dictionary=str(tmp_path / "other"))
    with pytest.raises(ModelError, match="changed after the job was submitted"):
        process.trace(other, trace_id="0" * 64)
    with pytest.raises(ModelError, match="names the model another"):
        process.trace(replace(other, any_model_name=False), trace_id="0" * 64)
