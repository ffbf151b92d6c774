import pytest
from click.testing import CliRunner

from circuitbase.cli import worker
from circuitbase.cli.main import main
from circuitbase.settings import Settings


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("--time-limit", "0", "not in the range 1<=x<=18000"),
        ("--time-limit", "18001", "not in the range"),
        ("--max-memory", "lots", "should be a size such as 16GB"),
        ("--metrics", "host", "should be PORT or ADDRESS:PORT"),
        ("--metrics", "70000", "should be PORT or ADDRESS:PORT"),
        ("--log-format", "xml", "'xml' is not one of"),
    ],
)
def test_a_worker_refuses_what_it_cannot_keep(option: str, value: str, sentence: str) -> None:
    result = CliRunner().invoke(main, ["worker", option, value])
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_every_option_reaches_the_worker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from circuitbase.workers import worker as running
    from circuitbase.workers.worker_options import WorkerOptions

    given: list[WorkerOptions] = []
    monkeypatch.setattr(running, "run_worker", lambda settings, options: given.append(options) or 0)
    options = ["--time-limit", "60", "--max-memory", "2KiB", "--log-format", "json", "--metrics", "9100"]
    assert CliRunner().invoke(main, ["worker", "--queues", "trace", *options]).exit_code == 0
    assert CliRunner().invoke(main, ["worker"]).exit_code == 0
    metrics = ("127.0.0.1", 9100)
    assert given[0] == WorkerOptions(("trace",), "auto", 60, 2048, "json", metrics)
    assert given[1] == WorkerOptions(("trace", "ingest"))


@pytest.mark.parametrize(
    ("text", "place"),
    [("9100", ("127.0.0.1", 9100)), ("0.0.0.0:9100", ("0.0.0.0", 9100)), ("[::1]:80", ("::1", 80))],
)
def test_metrics_are_served_on_loopback_unless_an_address_is_given(text: str, place: tuple[str, int]) -> None:
    assert worker.worker.make_context("worker", ["--metrics", text]).params["metrics"] == place
