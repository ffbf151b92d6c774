"""What lies in a store beside trace files."""

from pathlib import Path

from circuitbase.store.store_files import remove_leftovers
from circuitbase.store.trace_store import TraceStore
from tests.synthetic import synthetic_trace


def test_the_leftovers_of_one_trace_are_removed_and_nothing_else(tmp_path: Path) -> None:
    store = TraceStore(str(tmp_path))
    trace = synthetic_trace(1)
    file = Path(store.save(trace))
    other = tmp_path / f".{'a' * 64}.{file.name.partition('.')[2]}.half"
    for path in (tmp_path / f".{file.name}.half", tmp_path / f".{file.name}.empty", other):
        path.write_bytes(b"half")
    assert remove_leftovers(store, trace.metadata.trace_id) == 2
    assert sorted(tmp_path.iterdir()) == sorted([file, other])
    assert remove_leftovers(store, trace.metadata.trace_id) == 0


def test_a_store_that_was_never_written_has_no_leftovers(tmp_path: Path) -> None:
    assert remove_leftovers(TraceStore(str(tmp_path / "nothing")), "a" * 64) == 0
