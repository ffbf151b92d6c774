"""Measures the queue: what it adds to a job, how fast jobs are submitted, how workers scale, what ingest keeps up with.

`python bench/jobs.py [--json FILE] [--long] [--only PART]`; on a Neo4j and Redis of its own, in a folder that is
deleted at the end. Nothing here is a test: numbers depend on the machine, and on what else runs on it.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `bench` and for the invented traces and the workers of `tests`

from bench.jobs_ingest import ingest  # noqa: E402
from bench.jobs_overhead import overhead  # noqa: E402
from bench.jobs_queue import Bench  # noqa: E402
from bench.jobs_scaling import scaling  # noqa: E402
from bench.jobs_submission import submission  # noqa: E402
from bench.measurement import Measurement, table, write_json  # noqa: E402
from circuitbase import services  # noqa: E402
from circuitbase.ingest.connection import open_driver  # noqa: E402
from circuitbase.ingest.migrations import migrate  # noqa: E402
from circuitbase.settings import Settings  # noqa: E402
from circuitbase.workers.application import application  # noqa: E402
from circuitbase.workers.connection import open_redis  # noqa: E402

PARTS = ("overhead", "scaling", "ingest", "submission")
KEPT = {"CIRCUITBASE_CACHE", "CIRCUITBASE_MAVEN_URL"}  # where Neo4j's jars are and come from


def main() -> None:
    """Runs the measurements, prints a table and writes those with a goal to --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the measurements that have a goal here")
    parser.add_argument("--long", action="store_true", help="also submit 100,000 prompts, which takes minutes")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part (may be repeated)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services are stopped then too
    found = measurements(arguments.only or PARTS, long=arguments.long)
    print(table(found))
    if arguments.json:
        write_json(found, arguments.json)


def measurements(parts: Sequence[str], *, long: bool) -> list[Measurement]:
    """Measures the parts one after the other, each alone, on services of its own."""
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as folder:
        home = Path(folder)
        settings = _own_settings(home)
        measured: dict[str, Callable[[Bench], list[Measurement]]] = {
            "overhead": lambda bench: overhead(bench, logs=home),
            "scaling": lambda bench: scaling(bench, logs=home),
            "ingest": lambda bench: ingest(bench, logs=home),
            "submission": lambda bench: submission(bench.settings, folder=home, long=long),
        }
        services.up(settings, ports=services.Ports(bolt=0, http=0, redis=0))
        try:
            with open_redis(settings) as client, open_driver(settings) as driver, application(settings) as app:
                migrate(driver, database=settings.neo4j_database)
                bench = Bench(settings, client, app, driver)
                for part in [part for part in PARTS if part in parts]:
                    print(f"{time.strftime('%H:%M:%S')} {part}", file=sys.stderr)
                    found += measured[part](bench)
        finally:
            services.down(settings)
    return found


def _own_settings(home: Path) -> Settings:
    """Returns settings of services in a folder; hides the user's from this process and from what it starts."""
    for name in [name for name in os.environ if name.startswith("CIRCUITBASE_") and name not in KEPT]:
        del os.environ[name]
    os.environ["XDG_CONFIG_HOME"] = str(home / "config")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return Settings(home=home, store=str(home / "store"))


if __name__ == "__main__":
    main()
