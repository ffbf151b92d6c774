"""Prompts go through a real queue, a real worker and a real database."""

from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner
from neo4j import Driver

from circuitbase.cli.main import main
from circuitbase.settings import Settings
from circuitbase.store.prompt_line import PromptLine
from circuitbase.store.trace_file import to_bytes
from circuitbase.store.trace_store import TraceStore
from circuitbase.tracing.components.component_options import ComponentOptions
from circuitbase.workers import jobs
from circuitbase.workers.application import application
from circuitbase.workers.connection import open_redis
from circuitbase.workers.following import follow
from circuitbase.workers.jobs import JobState
from circuitbase.workers.publishing import publish_jobs
from circuitbase.workers.submission import Asked, submit
from circuitbase.workers.tasks import MOST_DEATHS
from tests.workers.made_jobs import made_request
from tests.workers.running import eventually
from tests.workers.submitting import WORDS, awaited, count, lines, submitted


def test_a_prompt_is_traced_and_stored(queue_settings: Settings, database: Driver, asked: Asked) -> None:
    submission = submitted(queue_settings, asked, "the alpha of beta is", "the gamma of beta is")
    assert (submission.new, submission.already_stored, submission.already_queued) == (2, 0, 0)
    assert awaited(queue_settings, submission).all_stored
    assert count(database, "MATCH (t:Trace)-[:OF_PROMPT]->(:Prompt)-[:IN_SET]->(:PromptSet) RETURN count(t)") == 2
    assert count(database, "MATCH (:TraceNode)-[e:AFFECTS]->(:TraceNode) RETURN count(e)") > 0
    assert sorted(TraceStore(queue_settings.store_url).trace_ids()) >= sorted(submission.under_way)


def test_a_job_gives_the_same_bytes_as_tracing_here(
    queue_settings: Settings, database: Driver, asked: Asked, tiny_folders: tuple[Path, Path]
) -> None:
    import torch

    from circuitbase.tracing.attribution import trace
    from circuitbase.tracing.dictionaries import load_dictionary
    from circuitbase.tracing.models import load_model

    submission = submitted(queue_settings, asked, "the nu of xi is")
    assert awaited(queue_settings, submission).all_stored
    torch.set_num_threads(1)
    model = load_model(tiny_folders[0])
    here = trace(
        model, load_dictionary(tiny_folders[1], model=model), model.tokenizer.read("the nu of xi is"), asked.options
    )
    file = Path(TraceStore(queue_settings.store_url).location(submission.under_way[0]))
    assert file.read_bytes() == to_bytes(here)


def test_components_go_through_the_same_queue(
    queue_settings: Settings, database: Driver, asked: Asked, tiny_folders: tuple[Path, Path]
) -> None:
    import torch

    from circuitbase.tracing.components.component_trace import trace_components
    from circuitbase.tracing.models import load_model

    options = ComponentOptions(neurons=2, links=2, relative_tau=0.001)
    submission = submitted(queue_settings, replace(asked, dictionary=None, options=options), "the nu of xi is")
    assert awaited(queue_settings, submission).all_stored
    torch.set_num_threads(1)
    model = load_model(tiny_folders[0])
    here = trace_components(model, model.tokenizer.read("the nu of xi is"), options)
    file = Path(TraceStore(queue_settings.store_url).location(submission.under_way[0]))
    assert file.read_bytes() == to_bytes(here)
    kinds = "MATCH (:TraceNode)-[:OF]->(u:Unit) RETURN count(DISTINCT u.kind)"
    assert count(database, kinds) == len(set(here.graph.node_kind))
    for port in "qkv":
        assert count(database, f"MATCH (h:Unit)<-[:OF]-(n)<-[e:AFFECTS {{port: '{port}'}}]-() RETURN count(e)") > 0
    again = submitted(queue_settings, replace(asked, dictionary=None, options=options), "the nu of xi is")
    assert (again.new, again.already_stored) == (0, 1)


def test_what_a_set_says_of_a_prompt_is_stored_and_traced_to_its_role(
    queue_settings: Settings, database: Driver, asked: Asked
) -> None:
    line = PromptLine(
        number=1,
        prompt="the pi of rho is",
        answer="alpha",
        distractor="beta",
        spans={"letter": (4, 6)},
        labels={"language": "gr", "hops": 2},
        cluster="pi",
    )
    submission = submit([line], source="a test", asked=asked, settings=queue_settings)
    assert submission.target == "roles"
    assert awaited(queue_settings, submission).all_stored
    (row,) = database.execute_query(
        "MATCH (n:TraceNode)<-[:CONTAINS]-(:Trace)-[:OF_PROMPT]->(:Prompt)-[i:IN_SET]->(s:PromptSet) "
        "MATCH (n)-[:OF]->(u:RoleOutput) RETURN u.name AS name, properties(i) AS said, s.name AS prompt_set"
    ).records
    assert "answer-distractor" in row["name"]
    assert row["prompt_set"] == "letters"
    said = row["said"]
    assert (said["answer"], said["distractor"], said["cluster"]) == ("alpha", "beta", "pi")
    assert (said["language"], said["hops"], said["roles"]) == ("gr", 2, '{"letter":[2]}')


def test_stored_work_is_not_queued_again(queue_settings: Settings, database: Driver, asked: Asked) -> None:
    first = submitted(queue_settings, asked, "the phi of chi is")
    assert awaited(queue_settings, first).all_stored
    again = submitted(queue_settings, asked, "the phi of chi is", "the psi of chi is")
    assert (again.new, again.already_stored) == (1, 1)
    assert awaited(queue_settings, again).all_stored
    assert count(database, "MATCH (t:Trace) RETURN count(t)") == 2
    with open_redis(queue_settings) as client:
        assert [job.attempts for job in jobs.read(client, first.under_way)] == [2]  # one to trace, one to store


def test_a_trace_file_without_a_trace_is_stored_without_tracing_again(
    queue_settings: Settings, database: Driver, asked: Asked
) -> None:
    first = submitted(queue_settings, asked, "the omega of chi is")
    assert awaited(queue_settings, first).all_stored
    file = Path(TraceStore(queue_settings.store_url).location(first.under_way[0]))
    written = file.stat().st_mtime_ns
    database.execute_query("MATCH (n) DETACH DELETE n")
    again = submitted(queue_settings, asked, "the omega of chi is")
    assert again.new == 1
    assert awaited(queue_settings, again).all_stored
    assert file.stat().st_mtime_ns == written


def test_stored_traces_are_rolled_up_when_the_queue_is_idle(
    queue_settings: Settings, database: Driver, asked: Asked
) -> None:
    submission = submitted(queue_settings, asked, *(f"the {word} of omega" for word in WORDS))
    assert awaited(queue_settings, submission).all_stored
    eventually(lambda: _summed(database) == len(WORDS), seconds=90)


def _summed(database: Driver) -> int:
    return count(database, "MATCH (:Trace)-[s:SUMMED_IN]->(:Rollup) RETURN count(s)")


def test_a_job_that_cannot_work_fails_with_the_reason_and_harms_no_other(
    queue_settings: Settings, database: Driver, asked: Asked
) -> None:
    good = submitted(queue_settings, asked, "the lambda of mu")
    with open_redis(queue_settings) as client, application(queue_settings) as app:
        (job,) = jobs.read(client, good.under_way)
        bad = {"a" * 64: made_request(), "b" * 64: job.request}
        jobs.put(client, list(bad.items()), prompt_set="letters")
        deadly = "c" * 64
        jobs.put(client, [(deadly, job.request)], prompt_set="letters")
        for _ in range(MOST_DEATHS):
            jobs.move(client, deadly, JobState.TRACING)
        publish_jobs(app, [(trace_id, JobState.QUEUED) for trace_id in (*bad, deadly)])
        *_, last = follow(client, app, [*bad, deadly, "gone", *good.under_way])
        reasons = [str(job.error) for job in jobs.read(client, [*bad, deadly])]
    assert (last.stored, last.failed, last.dead, last.gone, last.all_stored) == (1, 2, 1, 1, False)
    assert "there is no such folder" in reasons[0]
    assert "changed after the job was submitted" in reasons[1]
    assert "3 processes died tracing it" in reasons[2]


def test_a_damaged_trace_file_fails_its_job_and_is_computed_again_on_request(
    queue_settings: Settings, database: Driver, asked: Asked
) -> None:
    first = submitted(queue_settings, asked, "the iota of kappa")
    assert awaited(queue_settings, first).all_stored
    file = Path(TraceStore(queue_settings.store_url).location(first.under_way[0]))
    file.write_bytes(file.read_bytes()[:100])
    database.execute_query("MATCH (n) DETACH DELETE n")
    assert awaited(queue_settings, submitted(queue_settings, asked, "the iota of kappa")).failed == 1
    with open_redis(queue_settings) as client:
        (job,) = jobs.read(client, first.under_way)
    assert "damaged or truncated" in str(job.error)
    assert awaited(queue_settings, submitted(queue_settings, asked, "the iota of kappa")).all_stored


def test_waiting_says_by_its_exit_code_whether_all_were_stored(
    queue_settings: Settings, database: Driver, asked: Asked
) -> None:
    options = ["--model", asked.model, "--dictionary", asked.dictionary, "--set", "letters", "--wait"]
    good = CliRunner().invoke(main, ["submit", "the theta of mu", *options])
    assert good.exit_code == 0, good.output
    assert count(database, "MATCH (t:Trace) RETURN count(t)") == 1

    text = "the eta of mu"
    planned = submit(lines(text), source="a test", asked=asked, settings=queue_settings, dry_run=True)
    Path(TraceStore(queue_settings.store_url).location(planned.under_way[0])).mkdir()  # no file can be written there
    bad = CliRunner().invoke(main, ["submit", text, *options])
    assert bad.exit_code == 1
    assert f"trace {planned.under_way[0][:12]} failed:" in bad.stderr
