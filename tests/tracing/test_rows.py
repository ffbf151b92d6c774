"""Matrices that are kept, and those that stay where they are."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from circuitbase.errors import ModelError
from circuitbase.tracing.rows import LazyRows, ResidentRows, Rows, all_finite

MATRIX = torch.arange(30, dtype=torch.float32).reshape(10, 3)
CPU = torch.device("cpu")


@pytest.mark.parametrize("rows", [ResidentRows(MATRIX), LazyRows(lambda: MATRIX.T.contiguous().T, torch.float32, CPU)])
def test_rows_come_in_the_order_asked_for_and_all_of_them_in_their_own(
    rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("circuitbase.tracing.rows.CHUNK_NUMBERS", 12)
    assert isinstance(rows, Rows)
    assert rows.shape == (10, 3)
    assert torch.equal(rows.chosen(torch.tensor([7, 2, 2])), MATRIX[[7, 2, 2]])
    assert torch.equal(torch.cat(list(rows.chunks())), MATRIX)


def test_lazy_rows_come_in_the_dtype_wanted_and_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("circuitbase.tracing.rows.CHUNK_NUMBERS", 12)
    scale = torch.linspace(1, 2, 10, dtype=torch.float64)
    rows = LazyRows(lambda: MATRIX, torch.float64, CPU, scale)
    wanted = MATRIX.double() * scale[:, None]
    assert [len(part) for part in rows.chunks()] == [4, 4, 2]
    assert torch.equal(torch.cat(list(rows.chunks())), wanted)
    assert torch.equal(rows.chosen(torch.tensor([9, 0])), wanted[[9, 0]])


def test_numbers_that_are_not_finite_are_refused_when_they_are_read() -> None:
    broken = MATRIX.clone()
    broken[4, 1] = torch.nan
    rows = LazyRows(lambda: broken, torch.float32, CPU, name="the file: W_enc")
    rows.chosen(torch.tensor([3, 5]))
    with pytest.raises(ModelError, match="the file: W_enc must hold finite numbers, but has others"):
        rows.chosen(torch.tensor([4]))
    with pytest.raises(ModelError, match="must hold finite numbers"):
        list(rows.chunks())


def test_finite_numbers_may_sum_to_infinity() -> None:
    assert all_finite(torch.full((4,), 3e38))
    assert all_finite(torch.full((4,), 6e4, dtype=torch.float16))
    assert not all_finite(torch.tensor([torch.inf, -torch.inf]))
    assert not all_finite(torch.tensor([0.0, torch.nan]))


MEASURE = """
import sys, re
from pathlib import Path
import torch
from circuitbase.tracing.formats.bringing import layer_dictionary
from circuitbase.tracing.formats.detection import read_stored_dictionary

def own():  # MiB of this process's memory that no file backs
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]) / 1024

torch.set_num_threads(1)
stored = read_stored_dictionary(Path(sys.argv[1]))
before = own()
wanted = {"dtype": torch.float32, "kept_in": torch.float32, "device": torch.device("cpu")}
layers = [layer_dictionary(one, stored.described.rule, **wanted, lazy=sys.argv[2] == "lazy") for one in stored.layers]
loaded = own() - before
layers[0].W_dec[0].chosen(torch.arange(0, 40000, 400))
print(loaded, own() - before)
"""


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_a_lazy_dictionary_takes_no_memory_of_its_own(suffix: str, tmp_path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    arrays = {
        "W_enc": np.ones((400, 40_000), np.float32),
        "W_dec": np.ones((40_000, 400), np.float32),
        "b_enc": np.zeros(40_000, np.float32),
        "b_dec": np.zeros(400, np.float32),
        "threshold": np.zeros(40_000, np.float32),
    }
    if suffix == "npz":
        place = tmp_path / "gemma-scope-2b-pt-transcoders" / "layer_0"
        place.mkdir(parents=True)
        np.savez(place / "params.npz", **arrays)
    else:
        place = tmp_path / "transcoder" / "layer_0_width_40k_l0_small"
        place.mkdir(parents=True)
        save_file({name.replace("W_", "w_"): array for name, array in arrays.items()}, place / "params.safetensors")
    megabytes = {}
    for how in ("lazy", "resident"):
        found = subprocess.run([sys.executable, "-c", MEASURE, place, how], capture_output=True, text=True, check=True)
        megabytes[how] = [float(number) for number in found.stdout.split()]
    assert max(megabytes["lazy"]) < 10
    assert megabytes["resident"][0] > 100  # 122 MiB of matrices
