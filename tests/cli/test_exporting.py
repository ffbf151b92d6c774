import gzip
import json
from pathlib import Path

import networkx as nx
import pytest
from pyarrow import parquet as files

from circuitbase.graph.trace import Trace
from circuitbase.ingest.foreign.importing import ImportOptions, imported_trace
from circuitbase.settings import Settings
from circuitbase.store.trace_file import to_bytes
from circuitbase.store.trace_store import TraceStore, write_bytes
from tests.cli.running import refusal, rows, run
from tests.cli.test_stored import run as invoked
from tests.ingest.foreign.graph_files import document
from tests.ingest.foreign.reading import edges, trace_of, written
from tests.synthetic import synthetic_trace, with_links

TRACE = synthetic_trace(1)


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A trace file that is nowhere but on the disk."""
    return write_bytes(to_bytes(TRACE), str(tmp_path / "trace.safetensors"))


def test_a_trace_file_goes_out_as_graph_json_without_services(place: str, tmp_path: Path):
    out = tmp_path / "graph.json"
    (row,) = rows("export", place, "--out", str(out), "--slug", "mine")
    assert row == {
        "name": TRACE.metadata.trace_id[:12],
        "format": "neuronpedia",
        "nodes": TRACE.graph.n_nodes,
        "edges": TRACE.graph.n_edges,
        "file": str(out),
    }
    assert json.loads(out.read_text())["metadata"]["slug"] == "mine"
    again = imported_trace(str(out), ImportOptions())
    assert edges(again) == edges(TRACE)
    run("export", place, "--out", f"{out}.gz", "--format", "circuit-tracer", "--slug", "mine")
    assert json.loads(gzip.decompress(Path(f"{out}.gz").read_bytes()))["metadata"]["scan"] == "tc"


@pytest.mark.parametrize("suffix", ["graphml", "parquet", "json"])
def test_a_trace_goes_out_for_graph_tools_and_data_frames(suffix: str, place: str, tmp_path: Path):
    out = tmp_path / f"trace.{suffix}"
    found = rows("export", place, "--out", str(out), "--format", suffix)
    assert [row["file"] for row in found] == (
        [f"{tmp_path}/trace.nodes.parquet", f"{tmp_path}/trace.edges.parquet"] if suffix == "parquet" else [str(out)]
    )
    match suffix:
        case "graphml":
            n_edges = nx.read_graphml(out).number_of_edges()
        case "parquet":
            n_edges = files.read_table(found[1]["file"]).num_rows
        case _:
            n_edges = len(json.loads(out.read_text())["edges"])
    assert n_edges == TRACE.graph.n_edges


def test_a_set_goes_out_as_its_global_circuit(pending_sets: dict[str, list[Trace]], tmp_path: Path):
    out = tmp_path / "circuit.graphml"
    (row,) = rows("export", "capital-en", "--out", str(out), "--min-presence", "0.5")
    view = nx.read_graphml(out)
    assert (view.number_of_nodes(), view.number_of_edges()) == (row["nodes"], row["edges"])
    assert view.graph["prompt_set"] == "capital-en" and view.graph["traces"] == 4
    shown = {found["unit"]: found for found in rows("circuit", "capital-en", "--min-presence", "0.5", "--limit", "999")
             if found["row"] == "unit"}  # fmt: skip
    for _, node in view.nodes(data=True):
        assert node["presence"] == shown[node["name"]]["presence"]
        assert node.get("label") == shown[node["name"]]["label"]
    nodes, table = (files.read_table(row["file"]) for row in rows("export", "capital-en", "--out", f"{out}.parquet"))
    assert nodes.num_rows >= view.number_of_nodes()
    assert min(table.column("presence").to_pylist()) >= 0.3


def test_all_traces_of_a_set_go_into_a_folder_with_their_list(pending_sets: dict[str, list[Trace]], tmp_path: Path):
    traces = pending_sets["capital-en"]
    folder = tmp_path / "graphs"
    found = rows("export", "capital-en", "--format", "circuit-tracer", "--out", str(folder))
    assert len(found) == len(traces)
    listed = json.loads((folder / "graph-metadata.json").read_text())["graphs"]
    assert sorted(f"{folder}/{each['slug']}.json" for each in listed) == sorted(row["file"] for row in found)
    (back,) = rows("import", str(folder / "graph-metadata.json"), "--dry-run")[:1]
    assert back["model"] == traces[0].metadata.model.id
    # a second export into the folder adds to the list
    run("export", "capital-fr", "--format", "circuit-tracer", "--out", str(folder))
    assert len(json.loads((folder / "graph-metadata.json").read_text())["graphs"]) == len(traces) + 3


def test_traces_are_named_by_the_first_digits_of_their_ids(pending_sets: dict[str, list[Trace]], tmp_path: Path):
    first, second = (trace.metadata.trace_id[:12] for trace in pending_sets["capital-en"][:2])
    found = rows("export", first, second, "--format", "neuronpedia", "--out", str(tmp_path / "graphs"))
    assert [row["name"] for row in found] == [first, second]
    assert not (tmp_path / "graphs" / "graph-metadata.json").exists()


def test_labels_that_units_were_given_go_out_with_the_graph(pending_sets: dict[str, list[Trace]], tmp_path: Path):
    from circuitbase.ingest.connection import open_driver
    from circuitbase.settings import load_settings

    trace = pending_sets["capital-en"][0]
    with open_driver(load_settings()) as driver:
        driver.execute_query("MATCH (u:Feature) SET u.label = 'label of ' + u.name")
    out = tmp_path / "graph.json"
    run("export", trace.metadata.trace_id, "--out", str(out))
    labels = {node["clerp"] for node in json.loads(out.read_text())["nodes"] if "cross" in node["feature_type"]}
    assert labels and all(label.startswith("label of L0") for label in labels)


def test_an_imported_graph_goes_out_under_its_own_name(tmp_path: Path):
    trace = trace_of(document("Neuronpedia 2026"), tmp_path)
    place = TraceStore(str(tmp_path / "traces")).save(trace)
    run("export", place, "--out", str(tmp_path / "again.json"))
    found = json.loads((tmp_path / "again.json").read_text())
    assert found["metadata"]["slug"] == "cat"
    assert found["qParams"]["supernodes"] == [["animals", "1_4_2", "0_9_1"]]


def test_a_trace_that_cannot_be_written_so_is_named_and_the_others_go_on(tmp_path: Path):
    store = TraceStore(str(tmp_path / "traces"))
    places = [store.save(TRACE), store.save(with_links(synthetic_trace(2)))]
    result = invoked("export", *places, "--format", "neuronpedia", "--out", str(tmp_path / "graphs"))
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 1
    assert "refused: trace" in result.stderr and "no place for (AttentionLink)" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--out", "graph.txt"), "should end in .graphml, .parquet or .json"),
        (("--out", "graph"), "or --format should say what to write"),
    ],
)
def test_what_is_to_be_written_must_be_said(options: tuple[str, ...], said: str, place: str):
    assert said in refusal("export", place, *options)


def test_several_traces_need_a_folder_and_no_slug(place: str, tmp_path: Path):
    other = write_bytes(to_bytes(synthetic_trace(2)), str(tmp_path / "other.safetensors"))
    assert "--out should be a folder for several traces" in refusal("export", place, other, "--out", "a.graphml")
    both = ("export", place, other, "--format", "neuronpedia", "--out", str(tmp_path / "graphs"))
    assert "--slug names one graph, and 2 would be written" in refusal(*both, "--slug", "a")


def test_unknown_names_and_a_set_beside_others_are_refused(
    pending_sets: dict[str, list[Trace]], settings: Settings, tmp_path: Path
):
    out = str(tmp_path / "a.graphml")
    assert "there is neither a prompt set nor a trace 'nothing'" in refusal("export", "nothing", "--out", out)
    assert "a global circuit goes out alone" in refusal("export", "capital-en", "capital-fr", "--out", out)


def test_help_has_examples():
    assert "circuitbase export capital-en --out capital-en.graphml" in run("export", "--help").output


def test_what_is_written_is_what_was_imported(tmp_path: Path):
    place = written(document("circuit-tracer since the middle of 2026"), tmp_path)
    run("import", place, "--out", str(tmp_path / "traces"))
    (trace,) = TraceStore(str(tmp_path / "traces")).trace_ids()
    run("export", f"{tmp_path}/traces/{trace}.safetensors", "--format", "circuit-tracer", "--out", f"{tmp_path}/b.json")
    run("import", f"{tmp_path}/b.json", "--out", str(tmp_path / "traces"))
    assert list(TraceStore(str(tmp_path / "traces")).trace_ids()) == [trace]
