import subprocess
import sys
from pathlib import Path

import pytest

from circuitbase.cli import reference
from circuitbase.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]


def test_the_page_of_commands_is_current() -> None:
    # in a process of its own, as it is written: what other tests did to their commands is no matter
    checked = [sys.executable, "-m", "circuitbase.cli.reference", "--check"]
    done = subprocess.run(checked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_has_a_section_with_an_example() -> None:
    sections = {section.splitlines()[0]: section for section in reference.document().split("\n## ")[1:]}
    for name in COMMANDS:
        assert f"circuitbase {name}" in sections
        assert "Example" in sections[f"circuitbase {name}"], f"circuitbase {name} --help should show an example"


def test_a_page_that_is_behind_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reference.main(["--check"]) == 1
    said = capsys.readouterr().err
    assert "docs/commands.md is not current; run" in said and "+# Commands" in said
    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0


def test_other_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--chek"]) == 2
    assert "expected nothing or --check, got --chek" in capsys.readouterr().err
