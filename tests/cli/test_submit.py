import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.settings import Settings
from circuitbase.tracing.options import TraceOptions
from circuitbase.workers import jobs
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import Job
from tests.cli.running import refusal
from tests.tiny_models import write_tiny_dictionary, write_tiny_model

TEMPLATE = "{{ bos_token }}{% for message in messages %}<unk>is {{ message.content }}{% endfor %}<unk>of"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("tiny-submit")
    model = write_tiny_model(folder / "tiny" / "model")
    (model / "chat_template.jinja").write_text(TEMPLATE)
    dictionary = write_tiny_dictionary(folder / "tiny" / "transcoders", model, model_name="another")
    return ["--model", str(model), "--dictionary", str(dictionary), "--set", "letters"]


def submitted(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["submit", "the alpha", *arguments, "--any-model-name", "--json"])
    assert result.exit_code == 0, result.output
    return result


def test_the_priority_is_recorded_with_the_job(settings: Settings, database: Driver, tiny: list[str]) -> None:
    submitted(*tiny, "--priority", "8")
    assert [job.priority for job in recorded(settings)] == [8]
    submitted(*tiny, "--priority", "2")  # under way, so it keeps its own
    assert [job.priority for job in recorded(settings)] == [8]
    refused = CliRunner().invoke(main, ["submit", "the alpha", *tiny, "--priority", "10"])
    assert (refused.exit_code, "Traceback" in refused.output) == (2, False)


def recorded(settings: Settings) -> list[Job]:
    with open_redis(settings) as client:
        return list(jobs.listed(client))


def test_options_are_recorded_with_the_job(settings: Settings, database: Driver, tiny: list[str]) -> None:
    submitted(*tiny)
    given = "--max-features 9 --keep-mass 0.8 --silent 1/3 --heads --tf32 --dtype bfloat16 --full --target probable"
    submitted(*tiny, *given.split(), "--max-outputs", "3")
    submitted(*tiny, "--node-threshold", "0.7", "--edge-threshold", "0.9", "--output-probability", "0.5")
    plain, limited, pruned = (job.request.options for job in recorded(settings))
    assert plain == TraceOptions()
    assert limited == TraceOptions(
        max_features=9,
        keep_mass=0.8,
        silent=((1, 3),),
        heads=True,
        tf32=True,
        dtype="bfloat16",
        prune=False,
        max_outputs=3,
    )
    assert pruned == TraceOptions(node_threshold=0.7, edge_threshold=0.9, output_probability=0.5)


def test_chat_prompts_are_recorded_as_the_template_makes_them(
    settings: Settings, database: Driver, tiny: list[str]
) -> None:
    found = json.loads(submitted(*tiny, "--chat").stdout)
    assert found["tokens"] == 7
    (job,) = recorded(settings)
    assert (job.request.prompt.chat, job.request.prompt.bos_added) == (True, False)
    assert job.request.prompt.text == "<bos><unk>is the alpha<unk>of"


def test_a_dictionary_that_names_another_model_is_refused(
    settings: Settings, database: Driver, tiny: list[str]
) -> None:
    assert "names the model another" in refusal("submit", "the alpha", *tiny)
    submitted(*tiny)
    (job,) = recorded(settings)
    assert job.request.any_model_name


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--target", "roles", "--max-outputs", "3"], "--max-outputs limits the most probable tokens"),
        (["--full", "--edge-threshold", "0.9"], "--full keeps everything, so --edge-threshold has no part in it"),
        (["--silent", "1/99", "--any-model-name"], "in this dictionary, got 1/99"),
        (["--keep-mass", "0"], "keep_mass must be in (0, 1], got 0.0"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(
    arguments: list[str], sentence: str, settings: Settings, database: Driver, tiny: list[str]
) -> None:
    assert sentence in refusal("submit", "the alpha", *tiny, *arguments)
    assert recorded(settings) == []


def test_a_chat_without_a_template_is_one_sentence(
    settings: Settings, database: Driver, tiny: list[str], tmp_path: Path
) -> None:
    model = write_tiny_model(tmp_path / "plain" / "model")
    said = refusal("submit", "the alpha", "--model", str(model), *tiny[2:], "--any-model-name", "--chat")
    assert "has no chat template" in said
