"""Measures what the queue loses under kills, restarts and cuts: 500 atlas prompts, four workers, services of its own.

`python bench/chaos.py [--prompts N] [--workers N] [--seed N] [--log FILE] [--json FILE]`. The prompts are traced
undisturbed first, then once more by a schedule that is drawn from the seed; --log says what fell on whom. A kill is
one during tracing (or storing) if the record of the job that the killed process held said so. Most hit a process that
loads the model for its first job, since that takes seconds, and a trace 25 milliseconds.
"""

import argparse
import math
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `bench` and for the chaos of `tests`

from bench.chaos_prompts import prompts  # noqa: E402
from bench.chaos_run import Run, run  # noqa: E402
from bench.measurement import Measurement, table, write_json  # noqa: E402
from circuitbase.store.trace_store import TraceStore  # noqa: E402
from tests.chaos.arena import arena  # noqa: E402
from tests.chaos.diary import Diary  # noqa: E402
from tests.chaos.schedule import WORKER_KILLS, Plan, Stroke, drawn  # noqa: E402

PROMPTS = 500
PROMPTS_OF_A_ROUND = 20
STROKES = {  # for so many prompts; fewer get fewer
    Stroke.KILL_TRACING: 22,
    Stroke.KILL_STORING: 12,
    Stroke.KILL_ANY: 4,
    Stroke.KILL_REDIS: 3,
    Stroke.KILL_NEO4J: 3,
    Stroke.CUT_REDIS: 3,
    Stroke.CUT_NEO4J: 3,
}
GOALS = {
    Stroke.KILL_TRACING: 20,
    Stroke.KILL_STORING: 10,
    Stroke.KILL_REDIS: 3,
    Stroke.KILL_NEO4J: 3,
    Stroke.CUT_REDIS: 1,
    Stroke.CUT_NEO4J: 1,
}
WHOLE_SHARE = 0.3  # of the kills, that take a worker's parent too
LONGEST_PAUSE, LONGEST_AWAY = 1.0, 8.0  # seconds


def main() -> None:
    """Runs both, prints a table and writes the rows with a goal to --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--workers", type=int, default=4, help="at least 2; two of four store, the others trace")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--log", type=Path, default=Path("chaos.log"), help="write what fell on whom here")
    parser.add_argument("--json", type=Path, help="write the measurements that have a goal here")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services are stopped then too
    calm, wild = both_runs(prompts(arguments.prompts, seed=arguments.seed), arguments)
    found = measurements(calm, wild, n_prompts=arguments.prompts)
    print(table(found))
    for name, count in asdict(wild.left.leftovers).items():
        if count:
            print(f"left over: {count} {name.replace('_', ' ')}")
    if arguments.json:
        write_json(found, arguments.json)


def both_runs(texts: list[str], arguments: argparse.Namespace) -> tuple[Run, Run]:
    """Returns the undisturbed run and the other."""
    team = {"workers": arguments.workers, "seed": arguments.seed}
    schedule = drawn(plan(len(texts)), seed=arguments.seed)
    with tempfile.TemporaryDirectory(prefix="circuitbase-chaos-") as folder, arena(Path(folder)) as opened:
        said("tracing undisturbed")
        calm = run(opened, texts, [[]], diary=Diary(Path(folder) / "calm.log"), files={}, **team)
        store = TraceStore(opened.settings.store_url)
        files = {trace_id: Path(store.location(trace_id)).read_bytes() for trace_id in store.trace_ids()}
        shutil.rmtree(opened.settings.store_url)
        said(f"tracing disturbed; {arguments.log} says how")
        return calm, run(opened, texts, schedule, diary=Diary(arguments.log), files=files, **team)


def plan(n_prompts: int) -> Plan:
    """Returns the plan for so many prompts."""
    strokes = {stroke: scaled(count, n_prompts) for stroke, count in STROKES.items()}
    return Plan(
        rounds=max(2, n_prompts // PROMPTS_OF_A_ROUND),
        strokes=strokes,
        whole=round(WHOLE_SHARE * sum(strokes[stroke] for stroke in WORKER_KILLS)),
        longest_pause=LONGEST_PAUSE,
        longest_away=LONGEST_AWAY,
    )


def scaled(count: int, n_prompts: int) -> int:
    """Returns how many of the strokes for the whole number of prompts fall on so many."""
    return math.ceil(count * n_prompts / PROMPTS)


def measurements(calm: Run, wild: Run, *, n_prompts: int) -> list[Measurement]:
    """Returns the rows of the table."""
    left = wild.left
    return [
        Measurement("traces stored, each once", left.stored_once, "traces", goal=n_prompts),
        Measurement("other traces", left.others, "traces", goal=0, better="lower"),
        Measurement(
            "digest equals that of the undisturbed run", float(left.digest == calm.left.digest), "1 or 0", goal=1
        ),
        Measurement("leftovers of all kinds", left.leftovers.total, "things", goal=0, better="lower"),
        *(
            Measurement(stroke.value, wild.fallen[stroke], "times", goal=scaled(goal, n_prompts))
            for stroke, goal in GOALS.items()
        ),
        Measurement(Stroke.KILL_ANY.value, wild.fallen[Stroke.KILL_ANY], "times"),
        Measurement("from the first prompt to rest", wild.seconds, "s", baseline=calm.seconds),
    ]


def said(sentence: str) -> None:
    """Says on standard error what is done next."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
