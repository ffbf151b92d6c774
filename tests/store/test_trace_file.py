import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from circuitbase.errors import TraceFileError
from circuitbase.graph.attribution_graph import ARRAY_DTYPES
from circuitbase.schema.identity import canonical_json
from circuitbase.store.trace_file import array_digest, from_bytes, read_header, to_bytes
from circuitbase.tracing.options import TraceOptions
from tests.synthetic import synthetic_trace, with_arrays, without_account

TRACE = synthetic_trace(7)
CONTENT = to_bytes(TRACE)
HEADER_LENGTH = 8 + int.from_bytes(CONTENT[:8], "little")


def described() -> dict[str, Any]:
    """What the file's header says, as JSON."""
    found: dict[str, Any] = json.loads(json.loads(CONTENT[8:HEADER_LENGTH])["__metadata__"]["circuitbase"])
    return found


def file_of(arrays: dict[str, np.ndarray], **changes: Any) -> bytes:
    """A file whose header matches its arrays and otherwise says what TRACE's does, less `changes`."""
    header = {**described(), "array_digest": array_digest(arrays), **changes}
    return save(arrays, metadata={"circuitbase": canonical_json(header)})


def file_without(*names: str) -> bytes:
    header = {name: value for name, value in described().items() if name not in names}
    return save(TRACE.graph.arrays(), metadata={"circuitbase": canonical_json(header)})


def refusal(content: bytes) -> str:
    with pytest.raises(TraceFileError) as caught:
        from_bytes(content, name="a.safetensors")
    said = str(caught.value)
    assert said.startswith("a.safetensors ")
    assert "\n" not in said
    assert "trace the prompt again" in said or "circuitbase trace" in said
    return said


@pytest.mark.parametrize("options", [TraceOptions(), TraceOptions(target="roles"), TraceOptions(dtype="float64")])
@pytest.mark.parametrize("seed", range(3))
def test_reading_and_writing_gives_the_same_bytes(seed: int, options: TraceOptions) -> None:
    trace = synthetic_trace(seed, options=options)
    content = to_bytes(trace)
    again = from_bytes(content, name="a")
    assert again.metadata == trace.metadata
    for name, array in trace.graph.arrays().items():
        np.testing.assert_array_equal(getattr(again.graph, name), array)
    assert to_bytes(again) == content
    assert to_bytes(synthetic_trace(seed, options=options)) == content


def test_a_trace_without_edges_or_active_features_survives() -> None:
    none = {name: array[:0] for name, array in TRACE.graph.arrays().items() if not name.startswith("node_")}
    content = to_bytes(with_arrays(TRACE, **none))
    assert to_bytes(from_bytes(content, name="a")) == content


def test_columns_that_are_views_are_written_like_their_copies() -> None:
    strided = np.repeat(TRACE.graph.edge_weight, 2)[::2]
    assert to_bytes(with_arrays(TRACE, edge_weight=strided)) == CONTENT


def test_the_header_is_read_without_the_arrays() -> None:
    header = read_header(CONTENT[:HEADER_LENGTH], name="a")
    assert header.trace_id == TRACE.metadata.trace_id
    assert header.metadata == TRACE.metadata
    assert header.array_digest == array_digest(TRACE.graph.arrays())


@pytest.mark.parametrize(
    "length", [0, 7, 8, 9, HEADER_LENGTH - 1, HEADER_LENGTH, HEADER_LENGTH + 1, len(CONTENT) // 2, len(CONTENT) - 1]
)
def test_a_truncated_file_is_refused(length: int) -> None:
    assert "is damaged or truncated" in refusal(CONTENT[:length])


@given(st.integers(0, len(CONTENT) - 1))
def test_a_file_truncated_anywhere_is_refused(length: int) -> None:
    assert "is damaged or truncated" in refusal(CONTENT[:length])


def test_a_file_with_bytes_after_its_end_is_refused() -> None:
    assert "is damaged or truncated" in refusal(CONTENT + b"\0")


@given(st.integers(HEADER_LENGTH, len(CONTENT) - 1), st.integers(1, 255))
def test_a_changed_byte_in_an_array_is_refused(place: int, change: int) -> None:
    altered = bytearray(CONTENT)
    altered[place] ^= change
    assert "its arrays do not match the digest in its header" in refusal(bytes(altered))


@given(st.integers(0, HEADER_LENGTH - 1), st.integers(1, 255))
def test_a_changed_byte_in_the_header_is_refused_or_changes_no_array_and_no_id(place: int, change: int) -> None:
    altered = bytearray(CONTENT)
    altered[place] ^= change
    try:
        trace = from_bytes(bytes(altered), name="a")
    except TraceFileError:
        return
    assert trace.metadata.trace_id == TRACE.metadata.trace_id
    assert array_digest(trace.graph.arrays()) == array_digest(TRACE.graph.arrays())


@pytest.mark.parametrize("content", [b"", b"not a trace", b"\x00" * 100, b"PK\x03\x04" + b"\x00" * 100])
def test_other_bytes_are_refused(content: bytes) -> None:
    refusal(content)


def test_a_safetensors_file_of_something_else_is_refused() -> None:
    assert "no readable `circuitbase` entry" in refusal(save({"W_enc": np.zeros(3, np.float32)}))


def test_metadata_that_is_no_json_object_is_refused() -> None:
    assert "is not a JSON object" in refusal(save(TRACE.graph.arrays(), metadata={"circuitbase": "[1]"}))


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_named_with_the_one_that_is_read(version: object) -> None:
    said = refusal(file_of(TRACE.graph.arrays(), file_version=version))
    assert f"has trace file version {version}, but this circuitbase reads version 1" in said


@pytest.mark.parametrize("name", ["trace_id", "array_digest", "model", "prompt", "targets", "scores", "options"])
def test_metadata_that_lacks_a_part_is_refused(name: str) -> None:
    assert f"lacks part of a trace's metadata ('{name}')" in refusal(file_without(name))


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"name": "other"}},
        {"model": "synthetic"},
        {"prompt": []},
        {"targets": [1]},
        {"target_tokens": [[]]},
        {"target_tokens": 3},
        {"scores": None},
        {"warnings": None},
        {"options": {"prune": [1, {"x": None}]}},
        {"request": "probable"},
        {"dictionary": 3},
    ],
    ids=str,
)
def test_metadata_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    refusal(file_of(TRACE.graph.arrays(), **changes))


def test_metadata_that_holds_nan_is_refused() -> None:
    header = described() | {"options": {"node_threshold": float("nan")}}
    refusal(save(TRACE.graph.arrays(), metadata={"circuitbase": json.dumps(header)}))


@pytest.mark.parametrize(
    "alter",
    [
        lambda found: found["prompt"]["token_ids"].__setitem__(1, 59),
        lambda found: found["model"].update(digest="00" * 32),
        lambda found: found["options"].update(node_threshold=0.5),
        lambda found: found.update(dtype="float64"),
        lambda found: found.update(trace_id="00" * 32),
    ],
    ids=["tokens", "model", "options", "dtype", "trace id"],
)
def test_altered_metadata_no_longer_matches_the_trace_id(alter: Callable[[dict[str, Any]], None]) -> None:
    header = described()
    alter(header)
    said = refusal(save(TRACE.graph.arrays(), metadata={"circuitbase": canonical_json(header)}))
    assert "it was altered" in said
    assert "but its contents make it" in said


@pytest.mark.parametrize(
    ("name", "array", "found"),
    [
        (
            "edge_weight",
            TRACE.graph.edge_weight.astype(np.float64),
            "should be float32 of one dimension, got float64 of 1",
        ),
        ("node_unit", TRACE.graph.node_unit.astype(np.int32), "should be int64 of one dimension, got int32 of 1"),
        ("node_kind", TRACE.graph.node_kind[:, None], "should be uint8 of one dimension, got uint8 of 2"),
    ],
)
def test_an_array_of_another_type_or_shape_is_named(name: str, array: np.ndarray, found: str) -> None:
    assert f"{name} {found}" in refusal(file_of(TRACE.graph.arrays() | {name: array}))


@pytest.mark.parametrize("name", ARRAY_DTYPES)
def test_a_missing_array_is_named(name: str) -> None:
    arrays = TRACE.graph.arrays()
    del arrays[name]
    assert f"{name} should be {ARRAY_DTYPES[name]} of one dimension, got nothing" in refusal(file_of(arrays))


def test_columns_of_unequal_length_are_refused() -> None:
    arrays = TRACE.graph.arrays() | {"edge_weight": TRACE.graph.edge_weight[:-1]}
    assert "the edge columns must be equally long" in refusal(file_of(arrays))


def test_inconsistent_columns_are_refused_with_all_that_is_wrong() -> None:
    weight, source = TRACE.graph.edge_weight.copy(), TRACE.graph.edge_source.copy()
    weight[5], source[0] = np.nan, 99_999
    said = refusal(to_bytes(with_arrays(TRACE, edge_weight=weight, edge_source=source)))
    assert "edge_weight must be finite, got nan at row 5" in said
    assert f"edge_source must name one of the {TRACE.graph.n_nodes} nodes, got 99999 at edge 0" in said


def test_unsorted_edges_are_refused() -> None:
    edges = {name: array[::-1] for name, array in TRACE.graph.arrays().items() if name.startswith("edge_")}
    assert "edges must be sorted by target, source, port" in refusal(to_bytes(with_arrays(TRACE, **edges)))


def test_arrays_that_this_version_does_not_know_are_left_alone() -> None:
    arrays = TRACE.graph.arrays() | {"later_score": np.zeros(4, np.float32)}
    assert from_bytes(file_of(arrays), name="a").metadata == TRACE.metadata


class Runs:
    """What a hostile pickle holds: reading it would write a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Any, ...]]:
        return Path.write_text, (self.place, "ran")


def test_a_pickle_under_the_name_of_a_trace_never_runs(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    content = pickle.dumps(Runs(ran))
    refusal(content)
    refusal(CONTENT + content)
    arrays = TRACE.graph.arrays() | {"later_score": np.frombuffer(content, np.uint8)}
    from_bytes(file_of(arrays), name="a")
    assert not ran.exists()
    pickle.loads(content)
    assert ran.exists()


def test_every_fact_but_device_and_time_is_kept() -> None:
    metadata = replace(TRACE.metadata, warnings=("feature 3 of layer 1 is dead",))
    again = from_bytes(to_bytes(replace(TRACE, metadata=metadata)), name="a")
    assert again.metadata.warnings == ("feature 3 of layer 1 is dead",)
    assert again.metadata.facts == TRACE.metadata.facts


def test_an_imported_trace_needs_no_account_and_its_unknown_scores_stay_unknown() -> None:
    trace = without_account(TRACE)
    content = to_bytes(trace)
    again = from_bytes(content, name="a")
    assert again.metadata.unproven
    assert again.metadata.imported == trace.metadata.imported
    assert np.isnan([again.metadata.scores.account_violation, again.metadata.scores.replacement]).all()
    assert again.metadata.scores.pruned_replacement == trace.metadata.scores.pruned_replacement
    assert np.isnan(again.graph.node_preactivation).all()
    assert to_bytes(again) == content


def test_a_trace_of_ours_says_nothing_of_importing_and_needs_its_account() -> None:
    assert "imported" not in described()
    nothing = np.full(TRACE.graph.n_nodes, np.nan, dtype=np.float32)
    assert "node_preactivation must be finite" in refusal(to_bytes(with_arrays(TRACE, node_preactivation=nothing)))
