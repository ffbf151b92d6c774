import gc
import logging
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch

from circuitbase.errors import ModelError
from circuitbase.tracing.dictionaries import load_dictionary
from circuitbase.tracing.models import load_model
from circuitbase.tracing.rows import LazyRows, ResidentRows
from circuitbase.workers.kept_in_memory import KeptInMemory, device_memory, tensor_bytes


class Loads:
    """Tensors of 4 bytes a number, loaded by name, and how often each was."""

    def __init__(self) -> None:
        self.times: dict[str, int] = {}

    def of(self, name: str, numbers: int) -> Callable[[], torch.Tensor]:
        def load() -> torch.Tensor:
            self.times[name] = self.times.get(name, 0) + 1
            return torch.zeros(numbers)

        return load


@pytest.fixture
def loads() -> Loads:
    return Loads()


def use(kept: KeptInMemory, loads: Loads, name: str, numbers: int = 10) -> None:
    with kept.using(name, loads.of(name, numbers), what=f"the model {name}") as value:
        assert value.shape == (numbers,)


def test_what_was_used_longest_ago_is_dropped_first(loads: Loads) -> None:
    kept = KeptInMemory(80)
    for name in ("a", "b", "a", "c", "a", "b"):
        use(kept, loads, name)
    assert loads.times == {"a": 1, "b": 2, "c": 1}
    assert kept.size == 80


def test_as_much_is_dropped_as_has_to_be(loads: Loads) -> None:
    kept = KeptInMemory(100)
    for name in ("a", "b"):
        use(kept, loads, name)
    use(kept, loads, "large", 25)
    assert kept.size == 100
    use(kept, loads, "a")
    assert loads.times == {"a": 2, "b": 1, "large": 1}


def test_what_is_in_use_is_never_dropped(loads: Loads) -> None:
    kept = KeptInMemory(60)
    with kept.using("model", loads.of("model", 10), what="the model") as model:
        for name in ("first", "second"):
            use(kept, loads, name)
        assert kept.size == 80
        assert model.shape == (10,)
        use(kept, loads, "model")
    assert loads.times == {"model": 1, "first": 1, "second": 1}


def test_what_exceeds_the_budget_alone_is_loaded_kept_and_said(loads: Loads, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptInMemory(30)
    with caplog.at_level(logging.WARNING):
        use(kept, loads, "large", 20)
        use(kept, loads, "large", 20)
    assert loads.times == {"large": 1}
    (said,) = caplog.messages
    assert said == (
        "the model large takes 80B, more than the 30B that models may take (CIRCUITBASE_MODEL_MEMORY); "
        "it is kept until another is loaded"
    )
    use(kept, loads, "small", 5)
    assert kept.size == 20


def test_what_is_dropped_is_freed(loads: Loads) -> None:
    kept = KeptInMemory(40)
    with kept.using("a", loads.of("a", 10), what="a") as value:
        seen = weakref.ref(value)
    del value
    assert seen() is not None
    use(kept, loads, "b")
    gc.collect()
    assert seen() is None


def test_out_of_memory_drops_what_is_not_in_use_and_tries_once_more(loads: Loads) -> None:
    kept = KeptInMemory(1000)
    use(kept, loads, "a")

    def only_alone() -> torch.Tensor:
        if kept.size:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")
        return torch.zeros(3)

    with kept.using("b", only_alone, what="the model b") as value:
        assert len(value) == 3
        with (
            pytest.raises(ModelError, match=r"^the model c does not fit .* beside the 12B in use \(.*2\.00 GiB\.\);"),
            kept.using("c", only_alone, what="the model c"),
        ):
            raise AssertionError("never loaded")
    assert kept.size == 12


def test_a_model_and_its_dictionary_are_measured_by_their_tensors(tiny_folders: tuple[Path, Path]) -> None:
    model = load_model(tiny_folders[0])
    dictionary = load_dictionary(tiny_folders[1], model=model)
    module = model.module
    weights = sum(parameter.numel() for parameter in module.parameters())
    assert 4 * weights <= tensor_bytes(model) <= 1.5 * 4 * weights  # tied weights once; parts may hold derived ones
    per_layer = 24 * 16 * 2 + 24 + 16 + 24  # W_enc and W_dec, b_enc, b_dec, thresholds
    assert tensor_bytes(dictionary) == 4 * per_layer * len(dictionary.layers)


def test_rows_that_stay_in_their_file_take_no_memory() -> None:
    matrix = torch.zeros(6, 4)
    lazy = LazyRows(lambda: matrix, dtype=torch.float32, device=torch.device("cpu"))
    assert tensor_bytes((ResidentRows(matrix), lazy)) == 96
    assert tensor_bytes(lazy) == 0


def test_a_tensor_and_its_views_count_once() -> None:
    whole = torch.zeros(10)
    assert tensor_bytes([whole, whole[2:], whole.view(2, 5)]) == 40


def test_the_memory_of_a_device_is_that_of_the_machine_or_of_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_memory("cpu") == psutil.virtual_memory().total
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda place: (10, {0: 80, 1: 40}[place.index]))
    assert device_memory("cuda:1") == 40
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=7))
    assert device_memory("cpu") == 7
