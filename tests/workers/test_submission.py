"""Submitting, with nobody there to do the work."""

import gc
import itertools
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.errors import InputError, ModelError, PromptFileError
from circuitbase.ingest.stored_traces import stored_trace_ids
from circuitbase.ingest.trace_writer import store_trace
from circuitbase.settings import Settings
from circuitbase.store.prompt_line import BadLine, PromptLine
from circuitbase.tracing.options import TraceOptions
from circuitbase.workers import jobs, queueing
from circuitbase.workers.connection import open_redis
from circuitbase.workers.jobs import JobState
from circuitbase.workers.prepared_prompt import PreparedPrompt
from circuitbase.workers.queueing import BATCH
from circuitbase.workers.routing import queue_length
from circuitbase.workers.submission import Asked, submit
from tests.tiny_models import WORDS, write_tiny_dictionary
from tests.workers.submitting import count, lines
from tests.workers.twice import made_trace


def test_nothing_is_queued_when_a_line_is_bad(settings: Settings, database: Driver, asked: Asked) -> None:
    mixed = [*lines("the alpha"), BadLine(2, "it is bad"), PromptLine(number=3, prompt="the " * 40)]
    with pytest.raises(PromptFileError, match=r"a test has 2 bad lines, so nothing was queued(.|\n)*line 2: it is bad"):
        submit(mixed, source="a test", asked=asked, settings=settings)
    assert count(database, "MATCH (n:Prompt) RETURN count(n)") == 0
    with open_redis(settings) as client:
        assert client.keys() == []
    found = submit(mixed, source="a test", asked=asked, settings=settings, skip_bad=True)
    assert (found.new, [number for number, _ in found.bad]) == (1, [2, 3])


def test_a_dry_run_counts_and_writes_nothing(settings: Settings, database: Driver, asked: Asked) -> None:
    found = submit(lines("the alpha", "the beta"), source="a test", asked=asked, settings=settings, dry_run=True)
    assert (found.new, found.tokens, len(found.under_way)) == (2, 6, 2)
    assert count(database, "MATCH (n:Prompt) RETURN count(n)") == 0
    with open_redis(settings) as client:
        assert client.keys() == []


def test_what_cannot_be_submitted_is_refused(
    settings: Settings, database: Driver, asked: Asked, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="a test should hold prompts, but holds none"):
        submit([], source="a test", asked=asked, settings=settings)
    with pytest.raises(InputError, match="a prompt set must have a printable name"):
        submit(lines("the"), source="a test", asked=Asked(asked.model, asked.dictionary, " "), settings=settings)
    with pytest.raises(ModelError, match="no such folder"):
        submit(lines("the"), source="a test", asked=Asked("./nothing", asked.dictionary, "a"), settings=settings)
    silent = replace(asked, options=TraceOptions(silent=((0, 3), (2, 5), (1, 24))))
    with pytest.raises(
        InputError, match=r"layer from 0 to 1 and an index from 0 to 23 in this dictionary, got 1/24, 2/5"
    ):
        submit(lines("the"), source="a test", asked=silent, settings=settings)
    explained = replace(asked, options=TraceOptions(explain_attention=((0, 2, -1),)))
    with pytest.raises(InputError, match=r"an index from 0 to 1 in this model, got 0/2"):
        submit(lines("the"), source="a test", asked=explained, settings=settings)


def test_options_reach_the_records_and_the_trace_id(
    settings: Settings, database: Driver, asked: Asked, tmp_path: Path
) -> None:
    dictionary = write_tiny_dictionary(tmp_path / "named", Path(asked.model), model_name="another")
    other = replace(asked, dictionary=str(dictionary))
    with pytest.raises(ModelError, match="names the model another"):
        submit(lines("the alpha"), source="a test", asked=other, settings=settings)
    options = TraceOptions(heads=True, silent=((1, 3),), max_features=9, keep_mass=0.9, dtype="bfloat16")
    plain = submit(lines("the alpha"), source="a test", asked=replace(other, any_model_name=True), settings=settings)
    found = submit(
        lines("the alpha"),
        source="a test",
        asked=replace(other, options=options, any_model_name=True),
        settings=settings,
    )
    assert found.under_way != plain.under_way
    with open_redis(settings) as client:
        (job,) = jobs.read(client, found.under_way)
    assert (job.request.options, job.request.any_model_name) == (options, True)


def test_submitting_needs_neither_torch_nor_transformers(asked: Asked) -> None:
    code = (
        "import sys, circuitbase.workers.submission; from circuitbase.tracing.tokenizing import PromptTokenizer; "
        "PromptTokenizer(sys.argv[1]).read('the alpha'); print({'torch', 'transformers'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code, asked.model], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_thousands_of_prompts_are_streamed(settings: Settings, database: Driver, asked: Asked) -> None:
    def counted_lines() -> Iterator[PromptLine | BadLine]:
        for number, words in enumerate(itertools.islice(itertools.product(WORDS, repeat=3), 3000), start=1):
            yield PromptLine(number=number, prompt=" ".join(words), labels={"number": number})
            if number % BATCH == 0:
                held.append(alive(PromptLine))

    held: list[int] = []
    found = submit(
        counted_lines(),
        source="a test",
        asked=asked,
        settings=settings,
        progress=lambda *_: held.append(alive(PreparedPrompt)),
    )
    assert (found.new, found.tokens) == (3000, 12000)
    assert len(held) == 2 * 3000 / BATCH
    assert max(held[: len(held) // 2]) < 10  # while reading
    assert max(held[len(held) // 2 :]) <= BATCH + 10  # while queueing
    assert (
        count(database, "MATCH (:PromptSet {name: 'letters'})<-[r:IN_SET]-() RETURN sum(r.number)") == 3000 * 3001 / 2
    )


def alive(kind: type) -> int:
    """Returns how many objects of a class there are."""
    return sum(type(found) is kind for found in gc.get_objects())


def test_what_was_stored_after_the_first_look_is_not_queued_again(
    settings: Settings, database: Driver, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = submit(lines("the alpha"), source="a test", asked=asked, settings=settings)
    with open_redis(settings) as client:
        (job,) = jobs.read(client, found.under_way)
        store_trace(database, made_trace(job.request), database="neo4j")
        jobs.move(client, job.trace_id, JobState.STORED)
        before = queue_length(client, "trace")
        looks = iter([frozenset()])  # a look before the trace was stored; the next finds it
        monkeypatch.setattr(
            queueing, "stored_trace_ids", lambda *given, **named: next(looks, stored_trace_ids(*given, **named))
        )
        again = submit(lines("the alpha", "the beta"), source="a test", asked=asked, settings=settings)
        assert (again.new, again.already_stored, again.already_queued) == (1, 1, 0)
        assert job.trace_id not in again.under_way
        assert list(jobs.states(client, [job.trace_id])) == [JobState.STORED]
        assert (queue_length(client, "trace"), client.scard(jobs.ACTIVE)) == (before + 1, 1)
