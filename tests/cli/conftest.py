"""Two prompt sets that are stored but not yet summed, as a worker leaves them before its roll-up."""

import pytest
from neo4j import Driver

from circuitbase.graph.trace import Trace
from circuitbase.ingest.migrations import migrate
from circuitbase.settings import Settings
from tests.queries.stored import put_traces
from tests.synthetic import synthetic_traces


@pytest.fixture
def pending_sets(database: Driver, settings: Settings) -> dict[str, list[Trace]]:
    """Returns the traces by set: four in `capital-en`, three others in `capital-fr`."""
    migrate(database, database="neo4j")
    return {
        "capital-en": put_traces(database, settings, "capital-en", synthetic_traces(4)),
        "capital-fr": put_traces(database, settings, "capital-fr", synthetic_traces(3, first_seed=100)),
    }
