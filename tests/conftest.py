"""Private services for the whole run, on ports and in a folder of its own.

Nothing here or in a test touches the user's data or a running demo: every test has a home and a
store of its own, and the settings it sees are those alone.

- `settings`: the session's Neo4j and Redis, and an empty store.
- `database`: a driver of that Neo4j, everything in it and in Redis deleted first.
- `bare_database`: the same without constraints and indexes.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from neo4j import Driver, GraphDatabase

from circuitbase.settings import Settings, load_settings
from tests.service_guard import small_services

KEPT = {"CIRCUITBASE_CACHE", "CIRCUITBASE_MAVEN_URL"}  # where Neo4j's jars are and come from
BATCH = 20_000

_config_folder: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Hides the user's settings from this process and from those that it starts; both compute with one thread.

    Models here are tiny: a second thread costs more than it brings, and much more where others run.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in [name for name in os.environ if name.startswith("CIRCUITBASE_") and name not in KEPT]:
        del os.environ[name]
    _config_folder.append(tempfile.mkdtemp(prefix="circuitbase-tests-"))
    Settings.model_config["toml_file"] = None
    os.environ["XDG_CONFIG_HOME"] = _config_folder[-1]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Deletes what `pytest_configure` made."""
    while _config_folder:
        shutil.rmtree(_config_folder.pop(), ignore_errors=True)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a test that asks for no services an empty home and store."""
    monkeypatch.setenv("CIRCUITBASE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CIRCUITBASE_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="session")
def service_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Boots the session's services; a missing Java or jar fails every test that needs them."""
    home = tmp_path_factory.mktemp("services")
    with small_services(Settings(home=home, store=str(home / "store"))):
        yield home
    shutil.rmtree(home)


@pytest.fixture
def settings(service_home: Path, own_home: None, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Returns settings with the session's services; the environment says the same."""
    monkeypatch.setenv("CIRCUITBASE_HOME", str(service_home))
    found = load_settings()
    if not found.uses_private_services or found.redis_url is not None:
        pytest.fail("a circuitbase.toml names services of its own, and tests must not delete what they hold")
    return found


@pytest.fixture(scope="session")
def session_driver(service_home: Path) -> Iterator[Driver]:
    """Connects to the session's Neo4j once."""
    uri, user, password = Settings(home=service_home).neo4j_connection()
    with GraphDatabase.driver(uri, auth=(user, password)) as driver:
        yield driver


@pytest.fixture
def database(settings: Settings, session_driver: Driver) -> Driver:
    """Returns a driver of the session's Neo4j, emptied; so is its Redis."""
    for delete in (
        "MATCH ()-[r]->() WITH r LIMIT $batch DELETE r RETURN count(*) AS deleted",
        "MATCH (n) WITH n LIMIT $batch DELETE n RETURN count(*) AS deleted",
    ):
        while session_driver.execute_query(delete, batch=BATCH).records[0]["deleted"]:
            pass
    with redis.Redis.from_url(settings.redis_connection()) as queue:
        queue.flushall()
    return session_driver


@pytest.fixture
def bare_database(database: Driver) -> Driver:
    """Returns the emptied database without constraints and indexes."""
    for row in database.execute_query("SHOW CONSTRAINTS YIELD name").records:
        database.execute_query("DROP CONSTRAINT $name", name=row["name"])
    for row in database.execute_query("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'").records:
        database.execute_query("DROP INDEX $name", name=row["name"])
    return database
