from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.workers.connection import open_redis
from circuitbase.workers.presence import announce, unserved


def test_a_queue_is_served_while_a_worker_says_so(settings: Settings, database: Driver) -> None:
    with open_redis(settings) as client:
        assert unserved(client, ["trace", "ingest"]) == ["trace", "ingest"]
        announce(client, ["trace"])
        assert unserved(client, ["trace", "ingest"]) == ["ingest"]
        assert 0 < client.ttl("circuitbase:workers:trace") <= 30
