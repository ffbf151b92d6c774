from pathlib import Path

import pytest

from circuitbase import services
from circuitbase.settings import Settings, load_settings
from circuitbase.store.store_files import store_files
from circuitbase.store.trace_store import TraceStore
from tests.object_store import BUCKET, object_store, use


def states(settings: Settings) -> dict[str, str]:
    return {check.name: check.state for check in services.doctor(settings)}


def test_with_everything_running_there_is_no_problem(settings: Settings):
    found = states(settings)
    assert "problem" not in found.values(), services.doctor(settings)
    assert {name for name, state in found.items() if state == "ok"} >= {"java", "neo4j jars", "neo4j", "redis", "store"}


def test_without_services_each_problem_has_its_remedy():
    problems = {check.name: check.found for check in services.doctor(load_settings()) if check.state == "problem"}
    assert set(problems) == {"neo4j", "redis"}
    assert all("run `circuitbase up`" in sentence for sentence in problems.values())


def test_a_store_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CIRCUITBASE_STORE", str(tmp_path / "file" / "store"))
    found = {check.name: check for check in services.doctor(load_settings())}["store"]
    assert found.state == "problem"
    assert "choose another place (CIRCUITBASE_STORE" in found.found


def test_the_store_is_left_as_it_was(tmp_path: Path):
    assert states(load_settings())["store"] == "ok"
    assert list((tmp_path / "store").iterdir()) == []


def test_a_worker_that_ended_by_itself_is_a_problem(tmp_path: Path):
    from circuitbase.services import processes

    settings = load_settings()
    entry = processes.start(settings, "trace-worker", ["/bin/sh", "-c", "exit 3"], log=tmp_path / "worker.log")
    process = entry.process()
    assert process is None or processes.ends_within(process, 10.0)
    found = {check.name: check for check in services.doctor(settings)}["workers"]
    assert found.state == "problem"
    assert found.found.startswith("trace-worker ended by itself; its log is")


def test_an_object_store_is_tried_and_no_bucket_made(monkeypatch: pytest.MonkeyPatch):
    with object_store() as address:
        use(address, monkeypatch)
        store = TraceStore(f"s3://{BUCKET}/night")
        monkeypatch.setenv("CIRCUITBASE_STORE", store.url)
        assert states(load_settings())["store"] == "ok"
        assert store_files(store) == []
        monkeypatch.setenv("CIRCUITBASE_STORE", "s3://nowhere/night")
        for _ in range(2):  # the first made none
            found = {check.name: check for check in services.doctor(load_settings())}["store"]
            assert (found.state, "The specified bucket does not exist" in found.found) == ("problem", True)
