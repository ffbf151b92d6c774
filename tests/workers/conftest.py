"""A tiny model, and one real worker for a whole module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from circuitbase.settings import Settings
from circuitbase.workers.submission import Asked
from tests.tiny_models import write_tiny_dictionary, write_tiny_model
from tests.workers.running import RunningWorker, running_worker


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tiny-queue")
    model = write_tiny_model(folder / "tiny" / "model")
    return model, write_tiny_dictionary(folder / "tiny" / "transcoders", model)


@pytest.fixture
def asked(tiny_folders: tuple[Path, Path]) -> Asked:
    model, dictionary = tiny_folders
    return Asked(model=str(model), dictionary=str(dictionary), prompt_set="letters")


@pytest.fixture(scope="module")
def shared_worker(service_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    """Runs one worker for a whole module; its store is `shared_store`."""
    folder = tmp_path_factory.mktemp("worker")
    settings = Settings(home=service_home, store=str(folder / "store"))
    with running_worker(settings, queues="trace,ingest", log=folder / "worker.log") as worker:
        yield worker


@pytest.fixture
def queue_settings(settings: Settings, shared_worker: RunningWorker, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Returns the test's settings with the store of the shared worker; the environment says the same."""
    store = str(shared_worker.log.parent / "store")
    monkeypatch.setenv("CIRCUITBASE_STORE", store)
    return settings.model_copy(update={"store": store})
