"""Two prompt sets that are stored and summed, for tests that only read."""

from dataclasses import dataclass

import pytest
from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.ingest.migrations import migrate
from circuitbase.queries.rollup import roll_up
from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces


@dataclass(frozen=True)
class StoredSets:
    """What was stored: eight traces in `capital-en`, six others in `capital-fr`, one configuration."""

    driver: Driver
    settings: Settings
    first: list[Trace]
    second: list[Trace]


@pytest.fixture
def stored_sets(database: Driver, settings: Settings) -> StoredSets:
    migrate(database, database="neo4j")
    first = put_traces(database, settings, "capital-en", synthetic_traces(8))
    second = put_traces(database, settings, "capital-fr", synthetic_traces(6, first_seed=100))
    roll_up(database, store=TraceStore(settings.store_url), prompt_set=None, database="neo4j")
    return StoredSets(database, settings, first, second)
