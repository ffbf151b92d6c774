import pytest

from circuitbase.graph.trace import Trace
from tests.cli.running import refusal, rows, run

Sets = dict[str, list[Trace]]
LOOSE = ("--threshold", "0.3")


def test_supernodes_come_with_the_evidence_for_every_pair(pending_sets: Sets) -> None:
    found = rows("supernodes", "capital-en", *LOOSE)
    assert len(found) > 1
    for row in found:
        n = row["size"]
        assert len(row["members"].split(", ")) == n and len(row["pairs"]) == n * (n - 1) // 2
        assert all(
            pair["likeness"] >= 0.3 and pair["evidence"] in ("duplicates", "alternatives") for pair in row["pairs"]
        )
    shown = run("supernodes", "capital-en", *LOOSE, "--pairs", "--table").stdout
    assert "Supernodes of capital-en: " in shown and "Evidence" in shown


def test_what_a_person_says_is_kept_and_circuits_take_supernodes(pending_sets: Sets) -> None:
    assert "supernodes of capital-en." in run("supernodes", "capital-en", *LOOSE, "--store").stderr
    first, second, *_ = rows("supernodes", "find", "capital-en", *LOOSE)
    run("supernodes", "pin", "capital-en", first["supernode"])
    run("supernodes", "name", "capital-en", first["supernode"], "cities")
    run("supernodes", "split", "capital-en", second["supernode"], second["members"].split(", ")[0])
    after = rows("supernodes", "merge", "capital-en", *second["members"].split(", ")[:2])
    named = next(row for row in after if row["supernode"] == "cities")
    assert named["members"] == first["members"] and named["pinned"]
    assert any(set(second["members"].split(", ")[:2]) <= set(row["members"].split(", ")) for row in after)
    circuit = rows("circuit", "capital-en", "--supernodes", "--min-presence", "0", "--limit", "1000")
    assert "cities" in {row["unit"] for row in circuit if row["row"] == "unit"}
    groups = {row["supernode"]: row for row in circuit if row["row"] == "supernode"}
    assert groups["cities"]["members"] == first["members"] and groups["cities"]["inner_absolute_sum"] >= 0
    contrast = rows("contrast", "capital-en", "capital-fr", "--supernodes", "--min-presence", "0", "--limit", "1000")
    assert "cities" in {row.get("unit") for row in contrast}
    shared = rows("subcircuits", "capital-en", "--supernodes", "--min-support", "2", "--budget", "50")
    assert any(" +" in row["units"] or "cities" in row["units"] for row in shared)
    assert "not of supernodes" in refusal("subcircuits", "capital-en", "--supernodes", "--store")
    assert "Supernodes, and the sums" in run("circuit", "capital-en", "--supernodes", "--table").stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("supernodes", "capitals"), "there is no prompt set 'capitals'"),
        (("supernodes", "pin", "capitals", "x"), "there is no prompt set 'capitals'"),
        (("supernodes", "capital-en", "--threshold", "1.5"), "must be a likeness above 0 and at most 1, got 1.5"),
        (("supernodes", "capital-en", "--min-presence", "7"), "must be a fraction from 0 to 1, got 7"),
        (("supernodes", "pin", "capital-en", "nobody"), "no supernode and no unit called 'nobody'"),
        (("circuit", "capital-en", "--supernodes"), "has no stored supernodes"),
    ],
)
def test_what_cannot_be_done_is_refused(pending_sets: Sets, arguments: tuple[str, ...], sentence: str) -> None:
    run("rollup")
    assert sentence in refusal(*arguments)


def test_help_names_the_commands() -> None:
    shown = run("supernodes", "--help").stdout
    assert all(word in shown for word in ("find", "pin", "split", "merge", "name"))
