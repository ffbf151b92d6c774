"""Training and scoring of the demo model's dictionaries on the sentences it was trained on."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from circuitbase.demo.encoding import encode
from circuitbase.demo.sentences import Sentence
from circuitbase.demo.train_model import draw
from circuitbase.demo.world import World
from circuitbase.training.activations import MlpActivations, TokenBatch, mlp_activations
from circuitbase.training.batch_topk import TrainingOptions, train_transcoder
from circuitbase.training.scores import TranscoderScore, score_transcoder
from circuitbase.training.transcoder import Transcoder

SENTENCES_AT_ONCE = 256
TOPK_FIXTURE = TrainingOptions(n_features=48, k=4, steps=300, batch_rows=512, shared_budget=False)


def dictionary_activations(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World, count: int, seed: int
) -> MlpActivations:
    """Returns what the MLPs read and write on `count` sentences of the training distribution, <bos> left out."""
    sentences = draw(world, count, random.Random(f"dictionary {seed}"))
    return mlp_activations(model, batches(tokenizer, sentences))


def batches(tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sentence]) -> list[TokenBatch]:
    """Returns the sentences as batches, the shortest first so that little is padding."""
    ordered = sorted(sentences, key=lambda sentence: len(sentence.prompt.split()))
    found = []
    for start in range(0, len(ordered), SENTENCES_AT_ONCE):
        encoded = encode(tokenizer, ordered[start : start + SENTENCES_AT_ONCE])
        found.append(TokenBatch(encoded.tokens, encoded.without_bos))
    return found


def train_dictionaries(
    activations: MlpActivations, options: TrainingOptions, *, progress: Callable[[int, int, float], None]
) -> list[Transcoder]:
    """Returns one transcoder per layer; `progress` is called with (layer, step, FVU of the step's batch)."""
    return [
        train_transcoder(
            read,
            wrote,
            replace(options, seed=options.seed + layer),
            progress=lambda step, fvu, layer=layer: progress(layer, step, fvu),  # type: ignore[misc]
        )
        for layer, (read, wrote) in enumerate(zip(activations.inputs, activations.outputs, strict=True))
    ]


def score_dictionaries(transcoders: Sequence[Transcoder], activations: MlpActivations) -> list[TranscoderScore]:
    """Returns each layer's scores."""
    return [
        score_transcoder(transcoder, read, wrote)
        for transcoder, read, wrote in zip(transcoders, activations.inputs, activations.outputs, strict=True)
    ]
