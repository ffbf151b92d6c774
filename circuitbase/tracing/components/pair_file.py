"""Pairs as a JSON file: `{"pairs": [{"clean", "corrupted", "correct", "wrong"}]}`.

Prompts are text or token ids; `correct` and `wrong` are a token (text or id) or a list of them.
"""

import json
from pathlib import Path
from typing import Any

from circuitbase.errors import InputError
from circuitbase.tracing.components.pairs import Pair, check_pairs, raise_problems
from circuitbase.tracing.tokenizing import PromptTokenizer

KEYS = ("clean", "corrupted", "correct", "wrong")


def read_pairs(path: str | Path, tokenizer: PromptTokenizer) -> list[Pair]:
    """Returns the pairs of a file as token ids, with the begin-of-sequence token in front if the model expects one.

    A word that is a token only behind a space is taken with that space (as GPT-2 writes words). Raises
    InputError, with every problem by its pair, unless all pairs can be compared by the tokenizer's model.
    """
    config = tokenizer.config
    if config.n_positions < 2:
        raise InputError(
            "the model reads one position, so its heads can only look at themselves and no two prompts can be "
            "compared; take a model that reads at least two"
        )
    found, problems = [], []
    for number, entry in enumerate(_entries(Path(path))):
        try:
            found.append(_pair(entry, tokenizer))
        except InputError as error:
            problems.append((number, str(error)))
            continue
        problems += [
            (number, problem) for problem in found[-1].problems(n_tokens=config.d_vocab, n_positions=config.n_positions)
        ]
    raise_problems(problems)
    check_pairs(found, n_tokens=config.d_vocab, n_positions=config.n_positions)
    return found


def _entries(path: Path) -> list[Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"the pair file {path} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:
        raise InputError(f"the pair file {path} should hold JSON, but cannot be read ({error})") from error
    entries = found.get("pairs") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError(
            f'the pair file {path} should hold {{"pairs": [{{"clean", "corrupted", "correct", "wrong"}}]}} '
            "with at least one pair, and does not; write them there"
        )
    return entries


def _pair(entry: Any, tokenizer: PromptTokenizer) -> Pair:
    if not isinstance(entry, dict):
        raise InputError(f"it should be an object with {', '.join(KEYS)}, got {json.dumps(entry)}")
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        raise InputError(f"it has a key {unknown[0]!r}, but only {', '.join(KEYS)} are read")
    sides = {side: _prompt(entry.get(side), side, tokenizer) for side in ("clean", "corrupted")}
    answers = {side: _answers(entry.get(side), side, tokenizer) for side in ("correct", "wrong")}
    return Pair(**sides, **answers)


def _prompt(given: Any, side: str, tokenizer: PromptTokenizer) -> tuple[int, ...]:
    if given is None or given == "" or given == []:
        raise InputError(f"its {side} prompt is empty")
    if isinstance(given, str):
        try:
            return tokenizer.read(given).token_ids
        except InputError as error:
            raise InputError(f"its {side}: {error}") from error
    if not _are_ids(given):
        raise InputError(f"its {side} should be text or a list of token ids, got {json.dumps(given)}")
    ids = tuple(given)
    first = tokenizer.bos_token
    return ids if not tokenizer.expects_bos or first is None or ids[0] == first else (first, *ids)


def _answers(given: Any, side: str, tokenizer: PromptTokenizer) -> tuple[int, ...]:
    if given is None:
        return ()
    listed = given if isinstance(given, list) else [given]
    if not listed:
        raise InputError(f"its {side} is an empty list; name a token, or leave correct and wrong out")
    found = []
    for token in listed:
        if isinstance(token, str):
            found.append(_one_token(token, side, tokenizer))
        elif _are_ids([token]):
            found.append(token)
        else:
            raise InputError(f"its {side} should be one token, as text or id, or a list of them, got {token!r}")
    if len(set(found)) < len(found):
        raise InputError(f"its {side} names a token twice")
    return tuple(found)


def _one_token(text: str, side: str, tokenizer: PromptTokenizer) -> int:
    try:
        return tokenizer.one_token(text)
    except InputError as error:
        try:
            return tokenizer.one_token(f" {text}")
        except InputError:
            raise InputError(f"its {side}: {error}") from error


def _are_ids(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in given)
