"""Private services: a Neo4j and a Redis of one's own, without Docker and without root."""

from circuitbase.services.connection import Connection
from circuitbase.services.diagnosis import Check, doctor
from circuitbase.services.memory import SMALL, Memory
from circuitbase.services.private import Ports, down, up
from circuitbase.services.reachable import check_neo4j, check_redis

__all__ = ["SMALL", "Check", "Connection", "Memory", "Ports", "check_neo4j", "check_redis", "doctor", "down", "up"]
