"""The replacement score of each prompt set: how much of the outputs' influence runs through features, not errors."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from circuitbase.demo.sentences import Sentence
from circuitbase.tracing.attribution import trace
from circuitbase.tracing.dictionaries import load_dictionary
from circuitbase.tracing.models import load_model
from circuitbase.tracing.options import TraceOptions


def replacement_scores(
    model_folder: Path, transcoder_folder: Path, sets: Mapping[str, Sequence[Sentence]]
) -> dict[str, float]:
    """Returns the mean replacement score of each set's prompts, by the tracer's default options."""
    model = load_model(model_folder)
    dictionary = load_dictionary(transcoder_folder, model=model)

    def score(prompt: str) -> float:
        return trace(model, dictionary, model.tokenizer.read(prompt), TraceOptions()).metadata.scores.replacement

    return {name: sum(score(s.prompt) for s in sentences) / len(sentences) for name, sentences in sets.items()}
