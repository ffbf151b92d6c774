import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from circuitbase.errors import ServiceError
from circuitbase.ingest.connection import address, open_driver
from circuitbase.settings import Settings


def elsewhere(settings: Settings, **changed: object) -> Settings:
    """Returns settings that name the session's Neo4j as a server of the user's own."""
    uri, user, password = settings.neo4j_connection()
    given = {"neo4j_uri": uri, "neo4j_user": user, "neo4j_password": SecretStr(password), **changed}
    return Settings(home=settings.home, **given)  # type: ignore[arg-type]


def refusal(settings: Settings) -> str:
    with pytest.raises(ServiceError) as raised:
        open_driver(settings)
    return str(raised.value)


def test_the_driver_has_read_from_the_database(settings: Settings):
    with open_driver(settings) as driver:
        assert driver.execute_query("RETURN 1 AS one", database_=settings.neo4j_database).records[0]["one"] == 1


def test_a_wrong_password_is_named_without_being_shown(settings: Settings):
    message = refusal(elsewhere(settings, neo4j_password=SecretStr("hunter2hunter2")))
    assert "refuses the password of user neo4j; correct CIRCUITBASE_NEO4J_USER or CIRCUITBASE_NEO4J_PASSWORD" in message
    assert "hunter2" not in message


def test_a_server_that_is_not_there_is_one_sentence(settings: Settings):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"bolt://127.0.0.1:{taken.getsockname()[1]}"
    message = refusal(elsewhere(settings, neo4j_uri=uri))
    assert message.startswith(f"Neo4j at {uri} is not reachable (")
    assert message.endswith("; start it, or correct CIRCUITBASE_NEO4J_URI")
    assert "\n" not in message


def test_a_host_that_does_not_exist_is_one_sentence(settings: Settings):
    message = refusal(elsewhere(settings, neo4j_uri="bolt://no-such-host.invalid:7687"))
    assert message.startswith("Neo4j at bolt://no-such-host.invalid:7687 is not reachable (")


def test_a_database_that_is_not_there_is_named(settings: Settings):
    message = refusal(elsewhere(settings, neo4j_database="circuits"))
    assert "has no database 'circuits'; correct CIRCUITBASE_NEO4J_DATABASE" in message


@pytest.mark.parametrize("uri", ["http://localhost:7474", "localhost:7687", "bolt//localhost"])
def test_an_address_of_another_form_is_refused(settings: Settings, uri: str):
    message = refusal(elsewhere(settings, neo4j_uri=uri))
    assert message.startswith(f"the Neo4j address {uri} cannot be used (it should begin with bolt, ")
    assert "bolt://HOST:PORT" in message


def test_without_services_the_sentence_names_up(tmp_path: Path):
    with pytest.raises(ServiceError, match="run `circuitbase up`"):
        open_driver(Settings(home=tmp_path))


def test_an_address_is_shown_without_its_password():
    assert address("bolt://me:secret@host:7687") == "bolt://host:7687"
