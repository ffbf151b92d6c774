"""Sentences as padded token ids, with the places of roles among the tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from circuitbase.demo.sentences import Sentence

CONTEXT_WEIGHT = 0.1  # of words that nothing in the sentence determines, against 1 for answers


@dataclass(frozen=True)
class EncodedSentences:
    """Prompts with <bos> in front, padded on the right; `last` is the place of each prompt's last token."""

    tokens: Int[Tensor, "prompt position"]
    real: Bool[Tensor, "prompt position"]
    last: Int[Tensor, " prompt"]
    offsets: tuple[tuple[tuple[int, int], ...], ...]
    sentences: tuple[Sentence, ...]

    @property
    def without_bos(self) -> Bool[Tensor, "prompt position"]:
        """Returns the positions that hold a word."""
        words = self.real.clone()
        words[:, 0] = False
        return words

    def places(self, role: str) -> Bool[Tensor, "prompt position"]:
        """Returns the tokens that a role covers in each prompt; none where the prompt lacks the role."""
        mask = torch.zeros_like(self.real)
        for row, sentence in enumerate(self.sentences):
            start, end = sentence.spans.get(role, (0, 0))
            for position, (left, right) in enumerate(self.offsets[row]):
                mask[row, position] = left < right and start <= left and right <= end
        return mask


def encode(tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sentence]) -> EncodedSentences:
    """Returns the prompts (without answers) of the sentences."""
    found = tokenizer(
        [sentence.prompt for sentence in sentences], padding=True, return_offsets_mapping=True, return_tensors="pt"
    )
    real = found["attention_mask"].bool()
    offsets = tuple(tuple((int(a), int(b)) for a, b in row) for row in found["offset_mapping"].tolist())
    return EncodedSentences(found["input_ids"], real, real.sum(1) - 1, offsets, tuple(sentences))


@dataclass(frozen=True)
class TrainingBatch:
    """Sentences with their answers; `weight[i, p]` is the loss weight of predicting the token at p + 1."""

    tokens: Int[Tensor, "prompt position"]
    weight: Float[Tensor, "prompt position_but_last"]


def training_batch(tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sentence]) -> TrainingBatch:
    """Returns prompts and answers with weight 1 on every answer and every determined word before it."""
    texts = [f"{sentence.prompt} {sentence.answer}" for sentence in sentences]
    found = tokenizer(texts, padding=True, return_tensors="pt")
    real = found["attention_mask"]
    length = real.sum(1, keepdim=True)
    place = torch.arange(real.shape[1])[None]
    scored = torch.tensor([sentence.scored for sentence in sentences])[:, None]
    weight = torch.where(place >= length - 1 - scored, 1.0, CONTEXT_WEIGHT) * real
    return TrainingBatch(found["input_ids"], weight[:, 1:])
