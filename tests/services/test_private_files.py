from pathlib import Path

import pytest

from circuitbase.services.private_files import password_at, write_private


def test_a_private_file_is_for_its_owner_only_and_replaced_whole(tmp_path: Path):
    path = tmp_path / "folder" / "secret"
    write_private(path, "one")
    write_private(path, "two")
    assert path.read_text() == "two"
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path):
    path = tmp_path / "secret"
    write_private(path, "one")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "\ud800")
    assert path.read_text() == "one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_password_is_generated_once(tmp_path: Path):
    first = password_at(tmp_path / "password")
    assert first == password_at(tmp_path / "password")
    assert len(first) == 48
    assert first != password_at(tmp_path / "other")
