import hashlib
import json
import os
from pathlib import Path

import pytest

from circuitbase.tracing.digests import content_digest, file_digest


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CIRCUITBASE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "digests"


def test_a_files_digest_is_its_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"circuit")
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"circuit").hexdigest()


def test_a_changed_file_has_another_digest(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = file_digest(path)
    path.write_bytes(b"two!")
    assert file_digest(path) != first


def test_the_order_of_files_does_not_matter_but_their_names_do(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    assert content_digest([one, two]) == content_digest([two, one])
    before = content_digest([one, two])
    one.rename(tmp_path / "three")
    assert content_digest([tmp_path / "three", two]) != before


def test_a_large_files_digest_is_kept_by_path_size_and_time(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"weights")
    digest = file_digest(path, large=1)
    entry = next(cache.glob("*.json"))
    kept = json.loads(entry.read_text())
    assert kept["sha256"] == digest
    entry.write_text(json.dumps({**kept, "changed": kept["changed"] + 1, "sha256": "from the cache"}))
    os.utime(path, ns=(kept["changed"] + 1, kept["changed"] + 1))
    assert file_digest(path, large=1) == "from the cache"
    os.utime(path, ns=(kept["changed"] + 2, kept["changed"] + 2))
    assert file_digest(path, large=1) == digest


def test_a_damaged_cache_entry_is_made_anew(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"weights")
    digest = file_digest(path, large=1)
    next(cache.glob("*.json")).write_text("{")
    os.utime(path, ns=(5, 5))
    assert file_digest(path, large=1) == digest
    assert json.loads(next(cache.glob("*.json")).read_text())["sha256"] == digest


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CIRCUITBASE_CACHE", str(tmp_path / "file"))
    (tmp_path / "large").write_bytes(b"weights")
    assert file_digest(tmp_path / "large", large=1) == hashlib.sha256(b"weights").hexdigest()
