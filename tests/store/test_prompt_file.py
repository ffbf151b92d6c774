import json
from io import BytesIO
from pathlib import Path

import pytest

from circuitbase.errors import InputError
from circuitbase.store.prompt_file import read_prompts
from circuitbase.store.prompt_line import BadLine, PromptLine


def read(source: str | Path, standard_input: bytes = b"") -> list[PromptLine | BadLine]:
    return list(read_prompts(str(source), standard_input=BytesIO(standard_input)))


def problems(path: Path) -> dict[int, str]:
    return {line.number: line.problem for line in read(path) if isinstance(line, BadLine)}


def test_json_lines_give_every_column(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(
        json.dumps(
            {
                "prompt": "The capital of France is",
                "answer": " Paris",
                "distractor": " Rome",
                "spans": {"country": [15, 21]},
                "labels": {"language": "en", "hops": 1, "seen": True},
                "cluster": "france",
            }
        )
        + "\n\n"
        + json.dumps({"tokens": [1, 2, 3]})
        + "\n"
    )
    assert read(path) == [
        PromptLine(
            number=1,
            prompt="The capital of France is",
            answer=" Paris",
            distractor=" Rome",
            spans={"country": (15, 21)},
            labels={"language": "en", "hops": 1, "seen": True},
            cluster="france",
        ),
        PromptLine(number=3, tokens=(1, 2, 3)),
    ]


def test_csv_has_the_same_columns_with_json_in_its_cells(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text(
        "prompt,answer,spans,labels,tokens\n"
        '"two\nlines, quoted",yes,"{""city"": [0, 3]}","{""language"": ""en""}",\n'
        "last,,,,\n"
        ',,,,"[1, 2]"\n'
    )
    assert read(path) == [
        PromptLine(
            number=2, prompt="two\nlines, quoted", answer="yes", spans={"city": (0, 3)}, labels={"language": "en"}
        ),
        PromptLine(number=4, prompt="last"),
        PromptLine(number=5, tokens=(1, 2)),
    ]


def test_text_files_hold_one_prompt_a_line_and_keep_its_spaces(tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_bytes("\ufeff first \r\n\nsecond é".encode())
    assert read(path) == [PromptLine(number=1, prompt=" first "), PromptLine(number=3, prompt="second é")]


def test_standard_input_is_read_as_json_lines_or_as_text() -> None:
    assert read("-", b'\n{"prompt": "a"}\n{"prompt": "b"}\n') == [
        PromptLine(number=2, prompt="a"),
        PromptLine(number=3, prompt="b"),
    ]
    assert read("-", b"a\nb\n") == [PromptLine(number=1, prompt="a"), PromptLine(number=2, prompt="b")]
    assert read("-", b"") == []


def test_a_text_that_is_no_path_is_the_prompt_itself() -> None:
    assert read("The capital of France is") == [PromptLine(number=1, prompt="The capital of France is")]
    assert read("x" * 5000) == [PromptLine(number=1, prompt="x" * 5000)]
    assert read("zero\0byte") == [PromptLine(number=1, prompt="zero\0byte")]


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(InputError, match="the prompt is empty; give a text, a prompt file"):
        read(" ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "cannot be read"),
        ("[1]", "should be a JSON object, got [1]"),
        ("{}", "either `prompt` or `tokens`, got neither"),
        ('{"prompt": "a", "tokens": [1]}', "got both"),
        ('{"prompt": " "}', "`prompt` must be a text that is not empty"),
        ('{"prompt": 3}', "got 3"),
        ('{"tokens": []}', "`tokens` must be a list"),
        ('{"tokens": [1, -2]}', "got [1, -2]"),
        ('{"tokens": [true]}', "`tokens` must be a list"),
        ('{"prompt": "a", "answers": "b"}', "the key 'answers' is unknown (known: prompt, tokens, answer"),
        ('{"prompt": "a", "distractor": "b"}', "needs an `answer`"),
        ('{"prompt": "a", "answer": ""}', "`answer` must be a text"),
        ('{"prompt": "a", "cluster": 3}', "`cluster` must be a text"),
        ('{"prompt": "abc", "spans": {"city": [1, 4]}}', "inside the prompt's 3 characters, got [1, 4]"),
        ('{"prompt": "abc", "spans": {"city": [2, 2]}}', "must lie inside"),
        ('{"prompt": "abc", "spans": {"city": [-1, 2]}}', "must lie inside"),
        ('{"prompt": "abc", "spans": {"city": [1.0, 2]}}', "must be [start, end]"),
        ('{"prompt": "abc", "spans": [1, 2]}', "`spans` must map roles"),
        ('{"tokens": [1], "spans": {"city": [0, 1]}}', "which the line lacks"),
        ('{"prompt": "a", "labels": {"cluster": "b"}}', "the label 'cluster' has a meaning of its own"),
        ('{"prompt": "a", "labels": {"a b": "b"}}', "must be a name of letters"),
        ('{"prompt": "a", "labels": {"b": NaN}}', "a finite number"),
        ('{"prompt": "a", "labels": {"b": [1]}}', "the label 'b' must be a text"),
        ('{"prompt": "a", "labels": {"b": 9223372036854775808}}', "64 bits"),
        ('{"prompt": "\\ud800"}', "surrogate"),
    ],
)
def test_a_bad_line_says_what_is_wrong(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"prompt": "good"}\n' + line + "\n")
    assert list(problems(path)) == [2]
    assert expected in problems(path)[2]


def test_every_problem_of_every_line_is_told(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    path.write_bytes(b'{"prompt": "", "distractor": "b"}\n{"prompt": "a"}\n\xff\n')
    assert list(problems(path)) == [1, 3]
    assert problems(path)[1].count(";") == 1
    assert "UTF-8" in problems(path)[3]


def test_bad_csv_rows_are_told_by_the_line_they_begin_at(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_bytes(b'prompt,labels\n"a\nb",\nc,{\nd\n\xff,\n"e"f,\n')
    found = problems(path)
    assert list(found) == [4, 5, 6, 7]
    assert "`labels` should hold JSON" in found[4]
    assert "should have 2 cells, got 1" in found[5]
    assert "UTF-8" in found[6]
    assert "not well-formed" in found[7]


@pytest.mark.parametrize("header", ["prompt,colour", "answer", "prompt,prompt", ""])
def test_csv_columns_that_are_not_understood_are_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "set.csv"
    path.write_text(header + "\na,b\n")
    with pytest.raises(InputError, match=r"the first line of .*set\.csv must name columns"):
        read(path)


def test_a_file_that_cannot_be_a_prompt_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read(tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)
    (tmp_path / "prompts.json").write_text("{}")
    with pytest.raises(InputError, match=r"should end in .jsonl, .csv, .txt, but ends in .json"):
        read(tmp_path / "prompts.json")
