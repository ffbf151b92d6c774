"""The demo on a tiny model in place of the packaged one, with real services and real workers."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result
from neo4j import Driver

from circuitbase.cli import demo as demo_command
from circuitbase.cli.main import main
from circuitbase.demo import packaged
from circuitbase.services import processes
from circuitbase.settings import Settings
from tests.tiny_models import write_tiny_dictionary, write_tiny_model
from tests.workers.running import eventually

LETTERS = ("alpha", "beta", "gamma", "delta")
WORKERS = ("trace-worker", "ingest-worker")


@pytest.fixture(scope="module")
def tiny_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "tiny"
    write_tiny_dictionary(folder / "transcoders", write_tiny_model(folder / "model"))
    (folder / "prompts").mkdir()
    for name, word in (("capital-en", "mu"), ("capital-fr", "nu")):
        lines = [
            {"prompt": f"the capital of {letter} {word} is", "answer": "pi", "distractor": "rho", "cluster": letter}
            for letter in LETTERS
        ]
        (folder / "prompts" / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


@pytest.fixture
def demo_settings(
    settings: Settings, database: Driver, tiny_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    monkeypatch.setattr(packaged, "packaged_folder", lambda name="atlas": tiny_demo)
    yield settings
    for name in WORKERS:
        processes.stop(settings, name)


def run() -> Result:
    return CliRunner().invoke(main, ["demo"])


def running(settings: Settings) -> list[str]:
    return [entry.name for entry in processes.recorded(settings) if entry.name in WORKERS and entry.running]


def test_the_demo_stores_everything_once_and_shows_what_it_found(demo_settings: Settings, database: Driver) -> None:
    first = run()
    assert first.exit_code == 0, first.output
    for expected in ("Global circuit of capital-en, 4 traces", "Shared by capital-en and capital-fr", "Next:"):
        assert expected in first.stdout
    picture = demo_settings.home / "demo" / "capital-en.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "password is in" in first.stdout
    assert demo_settings.neo4j_connection()[2] not in first.output
    assert running(demo_settings) == list(WORKERS)
    before = stored(database)
    assert before == 2 * len(LETTERS)
    pids = [entry.pid for entry in processes.recorded(demo_settings)]

    again = run()
    assert again.exit_code == 0, again.output
    assert stored(database) == before
    assert [entry.pid for entry in processes.recorded(demo_settings)] == pids
    pasted_commands_work(again.stdout)


def stored(database: Driver) -> int:
    return int(database.execute_query("MATCH (t:Trace) RETURN count(t) AS n").records[0]["n"])


def pasted_commands_work(printed: str) -> None:
    (query,) = (line.strip() for line in printed.splitlines() if " cypher " in line)
    command = query.replace(query.split(" cypher ")[0], f"{sys.executable} -m circuitbase", 1)
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert {"feature", "always_in"} <= set(json.loads(found.stdout.splitlines()[0]))


def test_a_failed_job_is_shown_with_its_reason(
    demo_settings: Settings, tiny_demo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "store"
    broken.write_text("a file where the store should be a folder")
    monkeypatch.setenv("CIRCUITBASE_STORE", str(broken))
    result = run()
    assert result.exit_code == 1
    assert "8 jobs failed" in result.stdout
    assert "cannot be written" in result.stdout
    assert "Next:" not in result.stdout


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_that_dies_is_started_again_once(demo_settings: Settings, worker: str) -> None:
    from circuitbase.demo.background_workers import BackgroundWorkers
    from circuitbase.errors import ServiceError

    workers = BackgroundWorkers(demo_settings)
    workers.start()
    for _ in range(2):
        found = processes.find(demo_settings, worker)
        assert found is not None
        psutil.Process(found.pid).kill()
        eventually(lambda found=found: not found.running, seconds=10)  # type: ignore[misc]
        if worker not in {f"{queue}-worker" for queue in workers.restarted}:
            workers.check()
    with pytest.raises(ServiceError, match=rf"worker ended twice; read why in .*{worker}\.log"):
        workers.check()
    workers.stop_started()
    assert running(demo_settings) == []


def test_ctrl_c_stops_the_workers_and_a_later_run_continues(
    demo_settings: Settings, database: Driver, tiny_demo: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from circuitbase.demo import packaged\n"
        "folder = Path(sys.argv.pop()); packaged.packaged_folder = lambda name='atlas': folder\n"
        "from circuitbase.cli.main import main; main(['demo'])"
    )
    started = subprocess.Popen([sys.executable, "-c", code, str(tiny_demo)], stderr=subprocess.PIPE, text=True)
    eventually(lambda: len(running(demo_settings)) == 2, seconds=180)
    children = [
        child
        for name in WORKERS
        if (found := processes.find(demo_settings, name)) is not None
        for child in [psutil.Process(found.pid), *psutil.Process(found.pid).children(recursive=True)]
    ]
    started.send_signal(signal.SIGINT)
    _, told = started.communicate(timeout=180)
    assert "Aborted!" in told
    assert started.returncode == 1
    assert running(demo_settings) == []
    for child in children:
        eventually(lambda child=child: not child.is_running() or child.status() == "zombie", seconds=10)  # type: ignore[misc]
    assert run().exit_code == 0
    assert stored(database) == 2 * len(LETTERS)


def test_commands_are_printed_as_the_demo_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / ".venv" / "bin" / "circuitbase"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [".venv/bin/circuitbase", "demo"])
    assert demo_command.called_as() == ".venv/bin/circuitbase"
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    monkeypatch.setattr(sys, "argv", [str(script), "demo"])
    assert demo_command.called_as() == "circuitbase"
    monkeypatch.setattr(sys, "argv", ["/somewhere/circuitbase/__main__.py", "demo"])
    assert demo_command.called_as() == f"{sys.executable} -m circuitbase"
