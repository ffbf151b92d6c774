"""`trace --kind components` from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from circuitbase.cli.main import main
from circuitbase.schema.kinds import NodeKind
from circuitbase.store.trace_store import read_trace
from circuitbase.tracing.components.component_options import ComponentOptions
from tests.tiny_models import PROMPT, write_tiny_dictionary, write_tiny_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("components") / "tiny"
    write_tiny_dictionary(folder / "transcoders", write_tiny_model(folder / "model"))
    return folder


def invoked(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["trace", *arguments, "--model", str(folder / "model"), "--kind", "components"])


def test_every_option_reaches_the_file(folder: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "t.safetensors")
    arguments = "--node-threshold 0.9 --edge-threshold 0.99 --max-outputs 3 --output-probability 0.5 --tau 1e-6"
    more = "--relative-tau 1e-5 --neurons 2 --links 3 --positions summed --dtype float64 --json --out"
    result = invoked(folder, PROMPT, *arguments.split(), *more.split(), file)
    assert result.exit_code == 0, result.output
    options = ComponentOptions(
        node_threshold=0.9,
        edge_threshold=0.99,
        max_outputs=3,
        output_probability=0.5,
        tau=1e-6,
        relative_tau=1e-5,
        neurons=2,
        links=3,
        positions="summed",
        dtype="float64",
    )
    trace = read_trace(file)
    assert trace.metadata.kind == "components"
    assert trace.metadata.dictionary is None
    assert trace.metadata.options == options.numeric()
    assert trace.metadata.request == options.request()
    kinds = set(trace.graph.node_kind.tolist())
    assert kinds >= {NodeKind.INPUT_TOKEN, NodeKind.HEAD, NodeKind.MLP, NodeKind.NEURON, NodeKind.ATTENTION_LINK}
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["dictionary"] is None
    assert found["replacement"] is None
    assert {row["node"] for row in found["strongest_nodes"]} & {f'in "{word}"' for word in PROMPT.split()}


def test_edges_into_heads_name_their_input(folder: Path) -> None:
    result = invoked(folder, PROMPT, "--csv")
    assert result.exit_code == 0, result.output
    for port in "qkv":
        assert f"head/1<{port}>" in result.stdout


def test_a_trace_ends_in_what_is_asked(folder: Path) -> None:
    result = invoked(folder, PROMPT, "--answer", "gamma", "--distractor", "delta", "--json")
    (row,) = json.loads(result.stdout)["outputs"]
    assert (row["kind"], row["token"], row["minus"]) == ("role", "gamma", "delta")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((PROMPT, "--neurons"), "--neurons needs a bound on their number, such as --neurons 20"),
        ((PROMPT, "--neurons", "many"), "got 'many'"),
        ((PROMPT, "--neurons", "99999"), "neurons must be how many to take of each layer, 0 to 10000, got 99999"),
        ((PROMPT, "--heads"), "--heads has no part in a trace of components; leave it out, or give --kind features"),
        ((PROMPT, "--tau", "-1"), "tau must be at least 0, got -1.0"),
        ((PROMPT, "--relative-tau", "1"), "relative_tau must be at least 0 and below 1, got 1.0"),
        ((PROMPT, "--feature", "1/3@-1"), "a trace of components has no features to end in"),
        ((PROMPT, "--device-map", "auto"), "a trace of components is made on one device; leave out --device-map"),
        ((PROMPT, "--dictionary", "atlas"), "--dictionary has no part in a trace of components"),
    ],
)
def test_what_makes_no_component_trace_is_refused(folder: Path, arguments: tuple[str, ...], sentence: str) -> None:
    result = invoked(folder, *arguments)
    assert result.exit_code == 1, result.output
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_a_prompt_of_one_position_is_refused(tmp_path: Path) -> None:
    write_tiny_model(tmp_path / "model", bos=False)
    result = invoked(tmp_path, "alpha")
    assert result.exit_code == 1
    assert "a component trace needs at least two positions, for with one nothing is attended to" in result.output


def test_an_option_of_components_is_refused_for_features(folder: Path) -> None:
    given = ["trace", PROMPT, "--model", str(folder / "model"), "--dictionary", str(folder / "transcoders")]
    result = CliRunner().invoke(main, [*given, "--links", "3"])
    assert result.exit_code == 1
    assert "--links has no part in a trace of features; leave it out, or give --kind components" in result.output
    assert CliRunner().invoke(main, given[:4]).exit_code == 2
