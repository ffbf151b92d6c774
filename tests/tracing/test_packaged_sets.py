"""The account of every trace of the packaged prompt sets."""

import json
from functools import partial

import pytest
import torch

from circuitbase.demo.packaged import model_folder, prompt_sets, transcoder_folder
from circuitbase.tracing.attribution import trace
from circuitbase.tracing.dictionaries import load_dictionary
from circuitbase.tracing.models import load_model
from circuitbase.tracing.options import DType, RoleTarget, TraceOptions


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("float64", 1e-11)])
def test_the_account_of_every_packaged_prompt_closes(dtype: DType, bound: float) -> None:
    torch.set_num_threads(1)
    model = load_model(model_folder(), dtype=dtype)
    dictionary = load_dictionary(transcoder_folder(), model=model, dtype=dtype)
    traced = partial(trace, model, dictionary, options=TraceOptions(target="roles", dtype=dtype))
    found = {}
    for path in prompt_sets().values():
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            answer, distractor = (model.tokenizer.one_token(entry[name]) for name in ("answer", "distractor"))
            role = RoleTarget("answer-distractor", answer, distractor)
            found[entry["prompt"]] = traced(prompt=model.tokenizer.read(entry["prompt"]), roles=(role,)).metadata
    assert len(found) >= 100
    assert max(metadata.scores.account_violation for metadata in found.values()) <= bound
    assert max(metadata.scores.stored_account_violation for metadata in found.values()) <= 1e-5
    assert not [metadata.warnings for metadata in found.values() if metadata.warnings]
