from pathlib import Path

import pytest

from circuitbase.queries import document, library

REPOSITORY = Path(__file__).parents[2]


def test_the_document_is_current(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert document.main(["--check"]) == 0, capsys.readouterr().err


def test_the_document_holds_every_query_as_it_runs_in_browser() -> None:
    text = document.document()
    for name in library.names():
        query = library.load(name)
        assert f"## {name}" in text and query.source.rstrip() in text
        assert all(f"| `{each.name}` | {each.type} |" in text for each in query.parameters)


def test_check_fails_until_the_document_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert document.main(["--check"]) == 1
    assert "docs/queries.md is not current" in capsys.readouterr().err
    assert document.main([]) == 0
    assert document.main(["--check"]) == 0


def test_other_arguments_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert document.main(["--force"]) == 2
    assert "got --force" in capsys.readouterr().err
