"""How to reach the private services: `HOME/connection.json`, which `settings.py` reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from circuitbase.services.private_files import write_private
from circuitbase.settings import CONNECTION_FILE, Settings


@dataclass(frozen=True, repr=False)
class Connection:
    """Addresses and passwords of the services in use, private or configured elsewhere.

    `neo4j_http` is where the private Neo4j's Browser answers, empty for a Neo4j configured elsewhere.
    """

    neo4j_uri: str
    neo4j_user: str
    neo4j_password: str
    neo4j_http: str
    redis_url: str

    def __repr__(self) -> str:
        """Returns the addresses only: a password must not get into a log by way of repr."""
        return f"Connection(neo4j_uri={self.neo4j_uri!r}, neo4j_user={self.neo4j_user!r})"


def write_connection(settings: Settings, private: Mapping[str, str]) -> None:
    """Writes the connection file, for its owner only, and makes these settings read it anew."""
    text = json.dumps(dict(private), indent=1) + "\n"
    path = settings.home / CONNECTION_FILE
    if not path.exists() or path.read_text() != text:
        write_private(path, text)
    settings.__dict__.pop("private_connection", None)  # the cached answer of the file before
