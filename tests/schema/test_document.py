from pathlib import Path

import pytest

from circuitbase.schema import document
from circuitbase.schema.declaration import NODES, RELATIONSHIPS

REPOSITORY = Path(__file__).parents[2]


def test_the_document_is_current(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(REPOSITORY)
    assert document.main(["--check"]) == 0, capsys.readouterr().err


def test_the_document_names_everything_that_is_declared():
    text = document.document()
    for owner in (*NODES, *RELATIONSHIPS):
        assert owner.name in text
        assert all(f"| `{property.name}` | {property.type} |" in text for property in owner.properties)


def test_check_fails_until_the_document_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    assert document.main(["--check"]) == 1
    assert "docs/schema.md is not current" in capsys.readouterr().err
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0


def test_other_arguments_are_refused(capsys: pytest.CaptureFixture[str]):
    assert document.main(["--force"]) == 2
    assert "got --force" in capsys.readouterr().err
