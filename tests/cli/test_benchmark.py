import csv
import io

from click.testing import CliRunner

from circuitbase.cli.main import main
from tests.cli.running import refusal, rows, run

GATES = ("benchmark", "--ground-truth", "and-gate", "--ground-truth", "or-gate")


def test_each_method_is_a_row_for_each_ground_truth() -> None:
    found = rows(*GATES, "--method", "exact", "--method", "random")
    assert [(row["ground_truth"], row["method"]) for row in found] == [
        ("and-gate", "exact"), ("and-gate", "random"), ("or-gate", "exact"), ("or-gate", "random"),
    ]  # fmt: skip
    assert [row["auroc"] for row in found if row["method"] == "exact"] == [1.0, 1.0]
    assert list(found[0])[-3:] == ["cpr", "cmd", "seconds"]


def test_a_table_and_csv_show_the_same_rows() -> None:
    asked = (*GATES[:3], "--method", "exact", "--ablation", "patching", "--ablation", "zero")
    shown = run(*asked, "--table").stdout
    for word in ("metric: logit-difference", "AUROC", "sAP", "CPR", "CMD", "and-gate", "zero"):
        assert word in shown
    listed = list(csv.DictReader(io.StringIO(run(*asked, "--csv").stdout)))
    assert [row["ablation"] for row in listed] == ["patching", "zero"]


def test_the_seed_of_the_random_baseline_is_an_option() -> None:
    found = [rows(*GATES[:3], "--method", "random", "--seed", seed)[0]["auroc"] for seed in "010"]
    assert found[0] == found[2] != found[1]


def test_methods_that_cannot_take_an_ablation_are_refused_alone() -> None:
    assert "none of these methods takes" in refusal(*GATES, "--method", "clean-corrupted", "--ablation", "zero")


def test_an_unknown_ground_truth_is_answered_with_the_ones_there_are() -> None:
    result = CliRunner().invoke(main, ["benchmark", "--ground-truth", "sorting"])
    assert result.exit_code == 2
    assert "indirect-object" in result.output
