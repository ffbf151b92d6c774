"""Two processes that ingest at once, and one that is killed while it writes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from neo4j import Driver

from circuitbase.ingest.trace_writer import store_trace
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.ingest.contents import contents, counts, rows
from tests.synthetic import synthetic_trace, synthetic_traces

PATIENCE_SECONDS = 120
WRITING = """
SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery CONTAINS 'AFFECTS' AND NOT currentQuery CONTAINS 'SHOW'
RETURN count(*) AS n
"""


def ingesting(*arguments: str) -> subprocess.Popen[str]:
    """Starts `circuitbase ingest` with the environment that `settings` prepared."""
    command = [sys.executable, "-m", "circuitbase", "ingest", "--json", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert monotonic() < deadline, f"waited in vain for {what}"


def test_two_processes_at_once_store_each_trace_once(database: Driver, settings: Settings, tmp_path: Path):
    traces = synthetic_traces(10)
    folder = TraceStore(str(tmp_path / "files"))
    for trace in traces:
        folder.save(trace)
    running = [ingesting(folder.url, "--set", "s") for _ in range(2)]
    answers = [process.communicate(timeout=PATIENCE_SECONDS) for process in running]
    assert [process.returncode for process in running] == [0, 0], answers
    done = [json.loads(stdout) for stdout, _ in answers]
    assert sum(row["stored"] for row in done) == 10
    assert sum(row["already_stored"] for row in done) == 10
    assert sum(row["edges"] for row in done) == counts(database)["AFFECTS"] == sum(t.graph.n_edges for t in traces)
    assert counts(database)["Trace"] == counts(database)["IN_SET"] == 10


def test_a_process_killed_while_it_writes_leaves_nothing_half(database: Driver, settings: Settings, tmp_path: Path):
    store_trace(database, synthetic_trace(0), database=settings.neo4j_database)
    before = [line for line in contents(database) if "AFFECTS" in line or "TraceNode" in line]
    large = synthetic_trace(1, n_layers=6, n_positions=20, active_per_position=15, n_features=300)
    assert large.graph.n_edges > 50_000
    location = TraceStore(str(tmp_path / "files")).save(large)

    def writing() -> bool:
        return rows(database, WRITING)[0]["n"] > 0

    process = ingesting(location)
    wait_until(lambda: writing() or process.poll() is not None, "the process to write edges")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == -signal.SIGKILL
    wait_until(lambda: not writing(), "the transaction to end")

    assert [line for line in contents(database) if "AFFECTS" in line or "TraceNode" in line] == before
    assert counts(database)["Trace"] == 1
    assert store_trace(database, large, database=settings.neo4j_database).stored
    assert counts(database)["AFFECTS"] == large.graph.n_edges + synthetic_trace(0).graph.n_edges
