"""docs/benchmark.md holds the table that its command prints."""

import re
from pathlib import Path

import pytest

from circuitbase.evaluation.benchmark import benchmark
from circuitbase.evaluation.benchmark_options import GROUND_TRUTH_NAMES, HAND_SET_NAMES, SCORERS, BenchmarkOptions

PAGE = Path(__file__).parents[2] / "docs" / "benchmark.md"


def table() -> dict[tuple[str, str], list[float | None]]:
    block = re.search(r"\$ circuitbase benchmark --table\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert block
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in block[1].splitlines() if "│" in line]
    return {(name, method): [float(cell) if cell else None for cell in rest] for name, method, *rest in cells}


def test_the_page_has_every_method_on_every_ground_truth() -> None:
    assert list(table()) == [(name, method) for name in GROUND_TRUTH_NAMES for method in SCORERS]


@pytest.mark.parametrize("name", HAND_SET_NAMES)
def test_the_page_shows_what_is_measured(name: str) -> None:
    shown = table()
    for row in benchmark(BenchmarkOptions(ground_truths=(name,))):
        found = (row.auroc, row.average_precision, row.structural_auroc, row.structural_average_precision, row.dead)
        assert shown[name, row.method][:-1] == pytest.approx((*found, row.cpr, row.cmd), abs=1.1e-3)


def test_exact_patching_finds_all_true_edges_on_the_page() -> None:
    exact = [numbers for (_, method), numbers in table().items() if method == "exact" and numbers[0] is not None]
    assert len(exact) == 12
    assert {tuple(numbers[:2]) for numbers in exact} == {(1.0, 1.0)}
