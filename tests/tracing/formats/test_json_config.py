from pathlib import Path

import pytest

from circuitbase.errors import ModelError
from circuitbase.tracing.formats.json_config import positive_integer, read_json


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "should describe a dictionary as JSON, but does not"), ("[]", "as a JSON object, but does not")],
)
def test_what_is_no_mapping_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "cfg.json"
    path.write_text(content)
    with pytest.raises(ModelError, match=sentence):
        read_json(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cfg\.json cannot be read"):
        read_json(tmp_path / "cfg.json")


@pytest.mark.parametrize("value", [None, 0, -1, 2.5, True, "3"])
def test_a_size_must_be_a_positive_integer(value: object) -> None:
    with pytest.raises(ModelError, match=r"the file: k must be a positive integer, got"):
        positive_integer({"k": value}, "k", Path("the file"))


def test_a_size_may_be_written_as_a_whole_float() -> None:
    assert positive_integer({"k": 6.0}, "k", Path("the file")) == 6
