import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from circuitbase.errors import StoreError, TraceFileError
from circuitbase.graph.trace import Trace
from circuitbase.store.trace_file import to_bytes
from circuitbase.store.trace_store import TraceStore, read_trace, write_bytes
from tests.synthetic import synthetic_trace

TRACE = synthetic_trace(7)
OTHER = synthetic_trace(8)

FILL_THE_DISK = """
import resource, signal, sys
from circuitbase.errors import StoreError
from circuitbase.store.trace_store import TraceStore
from tests.synthetic import synthetic_trace

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit fails with EFBIG, as on a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    TraceStore(sys.argv[1]).save(synthetic_trace(7))
except StoreError as error:
    print(error)
    sys.exit(3)
"""


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TraceStore]:
    """Stores that behave alike: a folder that does not exist yet, and an object store."""
    if request.param == "folder":
        yield TraceStore(str(tmp_path / "new" / "store"))
        return
    url = f"memory://{uuid4().hex}"
    yield TraceStore(url)
    filesystem = fsspec.filesystem("memory")
    if filesystem.exists(url):
        filesystem.rm(url, recursive=True)


def same(a: Trace, b: Trace) -> bool:
    return to_bytes(a) == to_bytes(b)


def test_what_is_saved_can_be_loaded(store: TraceStore) -> None:
    location = store.save(TRACE)
    assert location == store.location(TRACE.metadata.trace_id)
    assert same(store.load(TRACE.metadata.trace_id), TRACE)
    assert same(read_trace(location), TRACE)


def test_saving_twice_leaves_one_file(store: TraceStore) -> None:
    store.save(TRACE)
    store.save(TRACE)
    assert list(store.trace_ids()) == [TRACE.metadata.trace_id]


def test_ids_are_listed_in_order(store: TraceStore) -> None:
    assert list(store.trace_ids()) == []
    for trace in (TRACE, OTHER):
        store.save(trace)
    assert list(store.trace_ids()) == sorted(trace.metadata.trace_id for trace in (TRACE, OTHER))


def test_removing_says_whether_there_was_a_file(store: TraceStore) -> None:
    store.save(TRACE)
    assert store.exists(TRACE.metadata.trace_id)
    assert store.remove(TRACE.metadata.trace_id)
    assert not store.exists(TRACE.metadata.trace_id)
    assert not store.remove(TRACE.metadata.trace_id)


def test_a_missing_trace_is_named(store: TraceStore) -> None:
    with pytest.raises(StoreError, match=r"the trace file .*0000\.safetensors cannot be read"):
        store.load("0" * 64)


def test_a_file_under_another_traces_name_is_refused(store: TraceStore) -> None:
    write_bytes(to_bytes(TRACE), store.location(OTHER.metadata.trace_id))
    with pytest.raises(TraceFileError, match=f"holds trace {TRACE.metadata.trace_id[:12]}, not"):
        store.load(OTHER.metadata.trace_id)


def test_a_truncated_file_in_the_store_is_refused(store: TraceStore) -> None:
    write_bytes(to_bytes(TRACE)[:-10], store.location(TRACE.metadata.trace_id))
    with pytest.raises(TraceFileError, match="is damaged or truncated"):
        store.load(TRACE.metadata.trace_id)


def test_other_files_in_the_folder_are_no_traces(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    store.save(TRACE)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".half.safetensors").write_text("left by a killed process")
    assert list(store.trace_ids()) == [TRACE.metadata.trace_id]


def test_a_saved_file_is_readable_by_others(tmp_path: Path) -> None:
    location = TraceStore(str(tmp_path)).save(TRACE)
    assert Path(location).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_leaves_no_file_and_says_so(failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync", full) if failing == "fsync" else (Path, "replace", full)))
    store = TraceStore(str(tmp_path))
    with pytest.raises(StoreError, match=r"cannot be written \(No space left on device\); free space or choose"):
        store.save(TRACE)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TraceStore(str(tmp_path))
    location = store.save(TRACE)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_bytes(b"shorter", location)
    assert same(read_trace(location), TRACE)
    assert [path.name for path in tmp_path.iterdir()] == [Path(location).name]


def test_a_write_cut_short_by_the_system_leaves_nothing(tmp_path: Path) -> None:
    store = tmp_path / "store"
    found = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(store)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert found.returncode == 3, found.stderr
    assert "cannot be written (File too large)" in found.stdout
    assert list(store.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file/store/.* cannot be written \(Not a directory\)"):
        TraceStore(str(tmp_path / "file" / "store")).save(TRACE)


def test_a_folder_without_write_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # root may write anywhere, so the refusal itself is put in place of the permission
    def refused(*arguments: object, **named: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("circuitbase.store.trace_store.tempfile.mkstemp", refused)
    with pytest.raises(StoreError, match=r"cannot be written \(Permission denied\)"):
        TraceStore(str(tmp_path)).save(TRACE)


fsspec.register_implementation("packagemissing", "no_such_package.FileSystem", errtxt="Please install no_such_package")


@pytest.mark.parametrize("url", ["nosuchprotocol://bucket/traces", "packagemissing://bucket/traces"])
def test_a_url_without_its_package_is_named(url: str) -> None:
    store = TraceStore(url)
    for attempt in (lambda: store.exists("0" * 64), lambda: list(store.trace_ids())):
        with pytest.raises(StoreError, match=f"the store {url} cannot be opened"):
            attempt()
    with pytest.raises(StoreError, match="cannot be written"):
        store.save(TRACE)
    with pytest.raises(StoreError, match="cannot be read"):
        store.load("0" * 64)
