import json
import sys
from pathlib import Path

import psutil
import pytest

from circuitbase.errors import ServiceError
from circuitbase.services import processes
from circuitbase.services.processes import Recorded
from circuitbase.settings import Settings, load_settings

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def home() -> Settings:
    return load_settings()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log" / "sleeper.log"


def wait_for_text(path: Path, text: str, process: psutil.Process) -> None:
    while not (path.exists() and text in path.read_text()):
        assert not processes.ends_within(process, 0.02), path.read_text()


def test_a_started_process_is_found_and_stopped_by_name(home: Settings, log: Path):
    started = processes.start(home, "sleeper", SLEEP, log=log)
    assert processes.find(home, "sleeper") == started
    assert started.running
    assert processes.stop(home, "sleeper")
    assert not started.running
    assert processes.recorded(home) == []


def test_starting_a_name_that_runs_returns_the_one_that_runs(home: Settings, log: Path):
    first = processes.start(home, "sleeper", SLEEP, log=log)
    assert processes.start(home, "sleeper", SLEEP, log=log) == first
    processes.stop(home, "sleeper")


def test_output_goes_to_the_log_and_the_log_before_is_kept(home: Settings, log: Path):
    for word in ("first", "second"):
        entry = processes.start(home, "speaker", [sys.executable, "-c", f"print('{word}')"], log=log)
        process = entry.process()
        assert process is None or processes.ends_within(process, 20.0)
    assert log.read_text() == "second\n"
    assert log.with_name("sleeper.log.previous").read_text() == "first\n"


def test_a_process_that_merely_reused_the_pid_is_left_alone(home: Settings, log: Path):
    entry = processes.start(home, "sleeper", SLEEP, log=log)
    path = home.home / "processes.json"
    honest = path.read_text()
    path.write_text(json.dumps([{**json.loads(honest)[0], "started": entry.started - 3600}]))
    assert not processes.recorded(home)[0].running
    assert not processes.stop(home, "sleeper")
    assert entry.running
    path.write_text(honest)
    assert processes.stop(home, "sleeper")


def test_a_process_deaf_to_sigterm_is_killed(home: Settings, log: Path):
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    entry = processes.start(home, "deaf", [sys.executable, "-c", deaf], log=log)
    process = entry.process()
    assert process is not None
    wait_for_text(log, "deaf", process)
    assert processes.stop(home, "deaf", patience=0.1)
    assert not entry.running


def test_what_a_process_started_ends_with_it(home: Settings, log: Path):
    parent = (
        "import signal, subprocess, sys, time; signal.signal(15, lambda *_: sys.exit());"
        f"print(subprocess.Popen({SLEEP!r}).pid, flush=True); time.sleep(600)"
    )
    entry = processes.start(home, "parent", [sys.executable, "-c", parent], log=log)
    process = entry.process()
    assert process is not None
    wait_for_text(log, "\n", process)
    child = psutil.Process(int(log.read_text()))
    processes.stop(home, "parent")
    assert processes.ends_within(child, 10.0)


def test_a_process_that_ended_is_on_record_but_not_running(home: Settings, log: Path):
    entry = processes.start(home, "brief", [sys.executable, "-c", "pass"], log=log)
    process = entry.process()
    assert process is None or processes.ends_within(process, 20.0)
    assert processes.recorded(home) == [entry]
    assert not entry.running
    assert not processes.stop(home, "brief")
    assert processes.recorded(home) == []


def test_a_pid_that_no_process_has_is_not_running():
    assert not Recorded("gone", 2**22 + 1, 0.0, "").running


def test_a_damaged_record_is_refused_in_one_sentence(home: Settings):
    home.home.mkdir(parents=True)
    (home.home / "processes.json").write_text("{")
    with pytest.raises(ServiceError, match=r"processes\.json should list the processes started here"):
        processes.recorded(home)
