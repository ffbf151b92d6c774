import json
from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.settings import Settings
from circuitbase.store.trace_store import TraceStore
from tests.cli.running import refusal, rows, run
from tests.cli.test_stored import run as invoked
from tests.ingest.foreign.graph_files import EDGES, document
from tests.ingest.foreign.reading import written

NEW = "Neuronpedia 2026"
N_NODES = 12


def graphs(folder: Path, n: int) -> Path:
    """A folder of graphs of different prompts, with the list that circuit-tracer writes of them."""
    folder.mkdir()
    for number in range(n):
        text = json.dumps(document(NEW, slug=f"g{number}")).replace("E_17_1", f"E_{100 + number}_1")
        (folder / f"g{number}.json").write_text(text)
    listed = [{"slug": f"g{number}", "scan": "gemma-2-2b"} for number in range(n)]
    (folder / "graph-metadata.json").write_text(json.dumps({"graphs": listed}))
    return folder


def test_graphs_become_traces_in_neo4j_and_in_the_store(database: Driver, settings: Settings, tmp_path: Path):
    folder = graphs(tmp_path / "graphs", 3)
    (row,) = rows("import", str(folder), "--set", "cats")
    assert row == {
        "stored": 3,
        "already_stored": 0,
        "refused": 0,
        "nodes": 3 * N_NODES,
        "edges": 3 * len(EDGES),
        "labels": 3,
        "supernodes": 3,
        "retries": 0,
    }
    assert len(list(TraceStore(settings.store_url).trace_ids())) == 3
    (again,) = rows("import", str(folder / "graph-metadata.json"), "--set", "cats")
    assert (again["stored"], again["already_stored"], again["nodes"]) == (0, 3, 0)
    (found,) = rows("sets")
    assert (found["set"], found["prompts"], found["traces"]) == ("cats", 3, 3)
    assert found["configurations"][0].startswith("gemma-2-2b/mntss-clt-gemma-2-2b-2.5M/imported@")


def test_an_imported_trace_is_unproven_and_its_labels_are_on_its_units(
    database: Driver, settings: Settings, tmp_path: Path
):
    run("import", written(document(NEW), tmp_path))
    record = database.execute_query(
        "MATCH (t:Trace) RETURN t.unproven AS unproven, t.account_violation AS violation, "
        "t.replacement_score AS whole, t.pruned_replacement_score AS pruned, "
        "COUNT { (t)-[:CONTAINS]->(n) WHERE n.preactivation IS NOT NULL } AS accounts, "
        "COLLECT { MATCH (u:Feature) WHERE u.label IS NOT NULL RETURN u.name + ' ' + u.label } AS labels"
    ).records[0]
    assert record["unproven"] is True
    assert (record["violation"], record["whole"], record["accounts"]) == (None, None, 0)
    assert 0 < record["pruned"] < 1
    assert record["labels"] == ["L01/F00004 cats"]


def test_a_global_circuit_of_imported_graphs_shows_their_labels(database: Driver, settings: Settings, tmp_path: Path):
    run("import", str(graphs(tmp_path / "graphs", 3)), "--set", "cats")
    found = rows("circuit", "cats")
    (feature,) = [row for row in found if row.get("unit") == "L01/F00004"]
    assert (feature["label"], feature["presence"], feature["traces"]) == ("cats", 1.0, 3)
    assert any(row.get("source") == "L01/F00004 (cats)" for row in found)


def test_a_label_that_is_there_is_kept_and_one_that_comes_later_is_put_on(
    database: Driver, settings: Settings, tmp_path: Path
):
    found = document(NEW)
    for node in found["nodes"]:
        node["clerp"] = node["clerp"] if node["feature_type"] == "logit" else ""
    run("import", written(found, tmp_path))
    labels = "MATCH (u:Feature) WHERE u.label IS NOT NULL RETURN collect(u.label) AS labels"
    assert database.execute_query(labels).records[0]["labels"] == []
    # the same graph, labelled since: the same trace, and the file in the store has the labels too
    (row,) = rows("import", written(document(NEW), tmp_path))
    assert row["already_stored"] == 1
    assert database.execute_query(labels).records[0]["labels"] == ["cats"]
    store = TraceStore(settings.store_url)
    (trace_id,) = store.trace_ids()
    imported = store.load(trace_id).metadata.imported
    assert imported is not None and imported.labels == {"1_4_2": "cats"}
    database.execute_query("MATCH (u:Feature {label: 'cats'}) SET u.label = 'dogs'")
    run("import", written(document(NEW), tmp_path))
    assert database.execute_query(labels).records[0]["labels"] == ["dogs"]


def test_bad_files_get_their_sentence_and_the_others_go_on(database: Driver, settings: Settings, tmp_path: Path):
    folder = graphs(tmp_path / "graphs", 2)
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text('{"links": [], "nodes": [], "metadata": {}}')
    result = invoked("import", str(folder))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["stored"] == 2
    assert json.loads(result.stdout)["refused"] == 2
    assert f"refused: {folder}/a.json is truncated or no graph file" in result.stderr
    assert f"refused: {folder}/b.json is not a consistent graph file" in result.stderr
    assert f"2 of 4 files were refused: {folder}/a.json, {folder}/b.json" in result.stderr


def test_the_same_graph_with_other_numbers_is_refused(database: Driver, settings: Settings, tmp_path: Path):
    run("import", written(document(NEW), tmp_path))
    found = document(NEW)
    found["links"][0]["weight"] = 9.0
    result = invoked("import", written(found, tmp_path, "other.json"))
    assert result.exit_code == 1
    assert "other.json: trace" in result.stderr
    assert "is known with other numbers" in result.stderr


def test_a_dry_run_says_what_files_hold_and_needs_no_services(tmp_path: Path):
    (row,) = rows("import", written(document("circuit-tracer with schema version 1"), tmp_path), "--dry-run")
    assert row["file"] == f"{tmp_path}/graph.json"
    assert (row["format"], row["dictionary"]) == ("circuit-tracer JSON", "gemma-2-2b")
    assert (row["tokens"], row["nodes"], row["features"], row["errors"], row["outputs"]) == (4, 12, 4, 2, 2)
    assert (row["edges"], row["labels"], row["supernodes"]) == (len(EDGES), 1, 1)
    assert "does not name its model" in row["warnings"][0]
    assert not (tmp_path / "store").exists()


def test_trace_files_are_written_without_services_and_can_be_ingested(
    database: Driver, settings: Settings, tmp_path: Path
):
    (row,) = rows("import", str(graphs(tmp_path / "graphs", 2)), "--out", str(tmp_path / "traces"))
    assert row == {"written": 2, "refused": 0, "nodes": 24, "edges": 26, "labels": 2, "supernodes": 2}
    (ingested,) = rows("ingest", str(tmp_path / "traces"))
    assert ingested["stored"] == 2
    labels = "MATCH (u:Feature) WHERE u.label IS NOT NULL RETURN collect(u.label) AS labels"
    assert database.execute_query(labels).records[0]["labels"] == ["cats"]


def test_names_can_be_given(tmp_path: Path):
    place = written(document("circuit-tracer with schema version 1"), tmp_path)
    (row,) = rows("import", place, "--dry-run", "--model-name", "google/gemma-2-2b", "--dictionary-name", "a/b")
    assert row["model"].startswith("gemma-2-2b@")
    assert row["dictionary"] == "a-b"
    assert row["warnings"] == []


def test_a_folder_says_which_model_it_truly_is_and_one_that_does_not_fit_is_refused(tmp_path: Path):
    result = invoked("import", written(document(NEW), tmp_path), "--dry-run", "--model", "atlas")
    assert result.exit_code == 1
    assert "it has 3 layers, and atlas has 4" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dictionary", "atlas"), "--dictionary needs --model"),
        (("--model", "atlas", "--model-name", "a"), "--model and --model-name both say which model it is"),
        (("--out", "x", "--dry-run"), "--out only writes trace files"),
        (("--node-threshold", "0"), "node_threshold must be in (0, 1], got 0"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: tuple[str, ...], said: str, tmp_path: Path):
    assert said in refusal("import", written(document(NEW), tmp_path), *options)


def test_nothing_to_import_is_one_sentence(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert "there is no graph file (.json, .json.gz, .pt) at" in refusal("import", str(tmp_path / "empty"))


def test_a_list_that_names_no_files_or_leads_elsewhere_is_refused(tmp_path: Path):
    place = tmp_path / "graph-metadata.json"
    place.write_text(json.dumps({"graphs": [{"slug": "../../secret"}]}))
    assert "should list graphs by their slug" in refusal("import", str(place))
    place.write_text(json.dumps({"graphs": [{"slug": "gone"}]}))
    result = invoked("import", str(place), "--dry-run")
    assert result.exit_code == 1
    assert "gone.json cannot be read" in result.stderr


def test_help_has_examples():
    assert "circuitbase import graphs/ --set capitals" in run("import", "--help").output
