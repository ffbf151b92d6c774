"""Reading prompts: from a .jsonl, .csv or .txt file, from standard input, or from one text.

Everything is streamed; each line comes back either as a PromptLine or as a BadLine that says what
is wrong with it. Lines without text are passed over.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from circuitbase.errors import InputError
from circuitbase.store.prompt_line import COLUMNS, BadLine, PromptLine, line_from, shown

JSON_COLUMNS = ("tokens", "spans", "labels")  # in a .csv file these cells hold JSON
SUFFIXES = (".jsonl", ".csv", ".txt")
STANDARD_INPUT = "-"


def read_prompts(source: str, *, standard_input: Iterable[bytes]) -> Iterator[PromptLine | BadLine]:
    """Yields the prompts of a file, of standard input (`-`), or of a text that is itself one prompt.

    Raises InputError for a file that is missing, has an unknown suffix or, for .csv, unknown columns.
    """
    if not source.strip():
        raise InputError("the prompt is empty; give a text, a prompt file, or `-` for standard input")
    if source == STANDARD_INPUT:
        yield from _detected_lines(standard_input)
        return
    suffix = Path(source).suffix.lower()
    kind = _kind(source)
    if kind == "folder":
        raise InputError(f"{source} should be a prompt file or a prompt, but is a folder; name a file in it")
    if kind == "nothing":
        if suffix in SUFFIXES:
            raise InputError(f"the prompt file {source} does not exist; check the path, or give the prompt itself")
        yield line_from({"prompt": source}, number=1)
        return
    if suffix not in SUFFIXES:
        raise InputError(
            f"the prompt file {source} should end in {', '.join(SUFFIXES)}, but ends in {suffix or 'nothing'}; "
            "rename it, or pass it to standard input with `-`"
        )
    try:
        with Path(source).open("rb") as file:
            yield from _file_lines(file, suffix, source)
    except OSError as error:
        raise InputError(f"the prompt file {source} cannot be read ({error.strerror}); check the file") from error


def _file_lines(file: Iterable[bytes], suffix: str, source: str) -> Iterator[PromptLine | BadLine]:
    match suffix:
        case ".csv":
            return _csv_lines(file, source)
        case ".jsonl":
            return _json_lines(enumerate(file, start=1))
    return _text_lines(enumerate(file, start=1))


def _json_lines(lines: Iterable[tuple[int, bytes]]) -> Iterator[PromptLine | BadLine]:
    for number, raw in lines:
        text = _decoded(raw)
        if text is None:
            yield BadLine(number, _NOT_UTF8)
            continue
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            yield BadLine(number, f"it should be a JSON object, but cannot be read ({error})")
            continue
        if isinstance(found, dict):
            yield line_from(found, number=number)
        else:
            yield BadLine(number, f"it should be a JSON object, got {shown(found)}")


def _text_lines(lines: Iterable[tuple[int, bytes]]) -> Iterator[PromptLine | BadLine]:
    for number, raw in lines:
        text = _decoded(raw)
        if text is None:
            yield BadLine(number, _NOT_UTF8)
        elif text.strip():
            yield line_from({"prompt": text.rstrip("\r\n")}, number=number)


def _csv_lines(file: Iterable[bytes], source: str) -> Iterator[PromptLine | BadLine]:
    # bytes that are no UTF-8 become surrogates, so that their line can be named
    rows = csv.reader((raw.decode("utf-8", errors="surrogateescape") for raw in file), strict=True)
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise InputError(f"the first line of {source} should name its columns, but cannot be read ({error})") from error
    header = [name.removeprefix(_BYTE_ORDER_MARK) for name in header]
    _check_header(header, source)
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield BadLine(number, f"it is not well-formed CSV ({error})")
            continue
        if row is None:
            return
        if row:
            yield _csv_line(header, row, number)


def _check_header(header: list[str], source: str) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    twice = sorted({name for name in header if header.count(name) > 1})
    if unknown or twice or not {"prompt", "tokens"} & set(header):
        reason = f"unknown: {unknown}" if unknown else f"twice: {twice}" if twice else f"got {header}"
        raise InputError(
            f"the first line of {source} must name columns out of {', '.join(COLUMNS)}, "
            f"with prompt or tokens among them, but does not ({reason}); correct it"
        )


def _csv_line(header: list[str], row: list[str], number: int) -> PromptLine | BadLine:
    if len(row) != len(header):
        return BadLine(number, f"it should have {len(header)} cells, got {len(row)}")
    found: dict[str, Any] = {}
    problems = []
    for name, cell in zip(header, row, strict=True):
        if any("\udc80" <= character <= "\udcff" for character in cell):
            return BadLine(number, _NOT_UTF8)
        if not cell:
            continue
        try:
            found[name] = json.loads(cell) if name in JSON_COLUMNS else cell
        except (ValueError, RecursionError) as error:
            problems.append(f"`{name}` should hold JSON, but cannot be read ({error})")
    return BadLine(number, "; ".join(problems)) if problems else line_from(found, number=number)


def _detected_lines(file: Iterable[bytes]) -> Iterator[PromptLine | BadLine]:
    """Yields the lines of a stream: JSON lines if the first line with text begins with `{`."""
    lines = iter(enumerate(file, start=1))
    for number, raw in lines:
        if raw.strip():
            rest = _followed_by((number, raw), lines)
            starts = raw.removeprefix(_BYTE_ORDER_MARK.encode()).lstrip()
            yield from _json_lines(rest) if starts.startswith(b"{") else _text_lines(rest)
            return


def _followed_by(first: tuple[int, bytes], rest: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    yield first
    yield from rest


def _kind(source: str) -> Literal["file", "folder", "nothing"]:
    if not source:
        return "nothing"
    try:
        path = Path(source)
        return "folder" if path.is_dir() else "file" if path.exists() else "nothing"
    except (OSError, ValueError):
        return "nothing"  # a prompt may be too long for a path, or hold a zero byte


def _decoded(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


_BYTE_ORDER_MARK = "\ufeff"
_NOT_UTF8 = "it must be UTF-8 text, and is not"
