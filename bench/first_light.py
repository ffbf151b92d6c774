"""Measures the main job: seconds per phase of the demo, ingest and rollup beside bare Cypher, reading rate.

`python bench/first_light.py [--json FILE] [--without-demo]`; on a Neo4j and Redis of its own, in a folder that is
deleted at the end. Nothing here is a test: numbers depend on the machine.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `bench` and for the invented traces of `tests`

from bench import demo_phases, ingest_rate, rollup_rate  # noqa: E402
from bench.measurement import Measurement, table, write_json  # noqa: E402
from circuitbase import services  # noqa: E402
from circuitbase.ingest.connection import open_driver  # noqa: E402
from circuitbase.ingest.migrations import migrate  # noqa: E402
from circuitbase.settings import Settings  # noqa: E402
from tests.synthetic import synthetic_traces  # noqa: E402

WARM_UP = 10
WARM_UP_SMALL = 40  # after which Neo4j has compiled the small statements around the large ones
SUMMED = 5  # traces of one rollup batch


def main() -> None:
    """Runs every measurement, prints a table and writes those with a goal to --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the measurements that have a goal here")
    parser.add_argument("--without-demo", action="store_true", help="leave out the demo, which takes minutes")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services are stopped then too
    found = database_rates()
    if not arguments.without_demo:
        said("running the demo twice")
        found += demo_phases.demo_phases()
    print(table(found))
    if arguments.json:
        write_json(found, arguments.json)


def database_rates() -> list[Measurement]:
    """Measures ingest and rollup with invented traces, so that their sizes are chosen."""
    said("inventing traces")
    small = synthetic_traces(60, n_layers=4, n_positions=9, active_per_position=8, n_features=256)
    large = synthetic_traces(
        20, first_seed=1_000, n_layers=6, n_positions=12, active_per_position=8, n_features=256, edge_probability=0.6
    )
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as home:
        settings = Settings(home=Path(home), store=f"{home}/store", neo4j_uri=None, redis_url=None)
        said("starting services")
        services.up(settings, ports=services.Ports(bolt=0, http=0, redis=0))
        try:
            with open_driver(settings) as driver:
                database = settings.neo4j_database
                migrate(driver, database=database)
                ingest_rate.create_bare_constraint(driver, database=database)
                said("storing traces")
                found = [
                    *ingest_rate.ingest_rate(driver, large, warm_up=WARM_UP, database=database, name="large"),
                    *ingest_rate.ingest_rate(driver, small, warm_up=WARM_UP_SMALL, database=database, name="small"),
                ]
                said("reading and summing")
                sums, reading = rollup_rate.reading_rate(driver, large[:SUMMED], database=database)
                said("writing rollups")
                return [*found, *reading, *rollup_rate.merge_rate(driver, sums, database=database)]
        finally:
            services.down(settings)


def said(sentence: str) -> None:
    """Says on standard error what is measured next."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
