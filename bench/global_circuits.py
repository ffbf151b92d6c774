"""Measures what questions over many traces cost in a small database and in a large one, at equal answer sizes.

`python bench/global_circuits.py [--json FILE] [--traces N ...] [--edges N] [--long]`. Each database is made of
synthetic traces with planted mechanisms, on a Neo4j of its own in a folder that is deleted at the end; 100 and 1,000
traces of 1,000 edges, with `--long` 100 and 10,000 of 5,000. DuckDB over Parquet is not measured: it is no dependency
of circuitbase. Nothing here is a test: numbers depend on the machine and on what else runs there.
"""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.global_database import put_planted  # noqa: E402
from bench.global_questions import Question, questions  # noqa: E402
from bench.measurement import Measurement, table, write_json  # noqa: E402
from circuitbase import services  # noqa: E402
from circuitbase.evaluation.background_graph import DatabaseSize  # noqa: E402
from circuitbase.evaluation.planted_database import PlantedDatabase  # noqa: E402
from circuitbase.ingest.connection import open_driver  # noqa: E402
from circuitbase.ingest.migrations import migrate  # noqa: E402
from circuitbase.settings import Settings  # noqa: E402
from circuitbase.store.trace_store import TraceStore  # noqa: E402

GOAL = 2.0
LAYERS, POSITIONS, FEATURES = 12, 16, 4_096
MILLISECONDS, ROWS = "ms", "rows"


def main() -> None:
    """Makes and asks every database, prints a table and writes the measurements that have a goal to --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the measurements that have a goal here")
    parser.add_argument("--traces", type=int, nargs="+", help="sizes of the databases, smallest first")
    parser.add_argument("--edges", type=int, help="edges of a trace, about")
    parser.add_argument("--added", type=int, default=100, help="traces that are rolled up when all others are")
    parser.add_argument("--repeats", type=int, default=9, help="of each question; the median is told")
    parser.add_argument("--long", action="store_true", help="100 and 10,000 traces of 5,000 edges, which takes long")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the services are stopped then too
    sizes = sorted(arguments.traces or ([100, 10_000] if arguments.long else [100, 1_000]))
    edges = arguments.edges or (5_000 if arguments.long else 1_000)
    asked = [
        in_database(traces, edges=edges, added=arguments.added, sample=min(sizes) // 2, repeats=arguments.repeats)
        for traces in sizes
    ]
    found = [
        *(row for traces, answers in zip(sizes, asked, strict=True) for row in rows_of(answers, traces=traces)),
        *ratios(asked[0], asked[-1], names=f"{sizes[-1]:,} beside {sizes[0]:,} traces"),
    ]
    print(table(found))
    if arguments.json:
        write_json(found, arguments.json)


def in_database(traces: int, *, edges: int, added: int, sample: int, repeats: int) -> list[Question]:
    """Makes a database of so many traces and returns what its questions took."""
    size = DatabaseSize(traces=traces + added, edges=edges, layers=LAYERS, positions=POSITIONS, features=FEATURES)
    planted = PlantedDatabase(size)
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as home:
        settings = Settings(home=Path(home), store=f"{home}/store", neo4j_uri=None, redis_url=None)
        services.up(settings, ports=services.Ports(bolt=0, http=0, redis=0))
        try:
            with open_driver(settings) as driver:
                database, store = settings.neo4j_database, TraceStore(settings.store_url)
                migrate(driver, database=database)
                said(f"storing {traces:,} traces of about {edges:,} edges")
                put_planted(driver, store, planted, first=0, traces=traces, database=database)
                said("asking")
                asked = questions(driver, store, sample=sample, repeats=repeats, database=database)
                said(f"adding {added:,} traces")
                seconds = put_planted(driver, store, planted, first=traces, traces=added, database=database)
                return [*asked, Question(f"rolling up {added:,} further traces", seconds, added, told=True)]
        finally:
            services.down(settings)


def rows_of(answers: list[Question], *, traces: int) -> list[Measurement]:
    """Returns what each question took in one database, and how many rows its answer has."""
    return [
        row
        for each in answers
        for row in (
            Measurement(f"{each.name}, {traces:,} traces", 1000 * each.seconds, MILLISECONDS, better="lower"),
            Measurement(f"  its answer, {traces:,} traces", each.answer, ROWS),
        )
    ]


def ratios(smallest: list[Question], largest: list[Question], *, names: str) -> list[Measurement]:
    """Returns the times in the largest database over those in the smallest."""
    return [
        Measurement(
            f"{after.name}, {names}",
            after.seconds / before.seconds,
            "ratio",
            baseline=1.0,
            goal=None if after.told else GOAL,
            better="lower",
        )
        for before, after in zip(smallest, largest, strict=True)
    ]


def said(sentence: str) -> None:
    """Says on standard error what is measured next."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", file=sys.stderr)


if __name__ == "__main__":
    main()
