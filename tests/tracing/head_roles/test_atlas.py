"""What the heads of the packaged model do in its indirect-object task (docs/components.md)."""

from dataclasses import dataclass

import pytest
import torch

from circuitbase.demo.packaged import model_folder, prompt_sets
from circuitbase.store.prompt_file import read_prompts
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.hugging_face import component_model
from circuitbase.tracing.components.running import Site, run
from circuitbase.tracing.head_roles.model_tokens import answer_prompts
from circuitbase.tracing.models import load_model


@dataclass(frozen=True)
class Names:
    model: ComponentModel
    tokens: torch.Tensor
    answers: torch.Tensor
    givers: torch.Tensor


@pytest.fixture(scope="module")
def names() -> Names:
    model = load_model(model_folder())
    source = str(prompt_sets()["indirect-object"])
    prompts = answer_prompts(read_prompts(source, standard_input=[]), model.tokenizer, source=source)
    return Names(
        component_model(model),
        *(torch.tensor([getattr(each, name) for each in prompts]) for name in ("tokens", "answers", "distractors")),
    )


def without(names: Names, *heads: tuple[int, int]) -> tuple[float, float]:
    """Returns logit difference and accuracy with heads at the last position at their mean over the prompts."""

    def edit(site: Site, layer: int, x: torch.Tensor) -> torch.Tensor:
        if site != Site.MIXED:
            return x
        x = x.clone()
        for head in [head for of, head in heads if of == layer]:
            x[:, -1, head] = x[:, -1, head].mean(0)
        return x

    with torch.no_grad():
        logits = run(names.model, names.model.embedded(names.tokens).stream, edit=edit)[:, -1]
    difference = (logits.gather(1, names.answers) - logits.gather(1, names.givers)).mean()
    return float(difference), float((logits.argmax(-1) == names.answers[:, 0]).float().mean())


def test_the_logit_difference_does_not_see_the_heads_that_fetch_both_names(names: Names) -> None:
    clean, right = without(names)
    assert (clean, right) == (pytest.approx(10.10, abs=0.05), 1.0)
    fetching, right = without(names, *((1, head) for head in range(4)))
    assert fetching == pytest.approx(10.35, abs=0.1)
    assert right < 0.1


def test_without_the_heads_that_push_down_the_giver_the_names_are_nearly_alike(names: Names) -> None:
    inhibiting, right = without(names, (2, 1), (2, 3))
    assert inhibiting == pytest.approx(2.13, abs=0.1)
    assert right > 0.9
