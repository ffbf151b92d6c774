"""The demo model's tokenizer: one token per word of the world, the special token <bos> in front."""

import re

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from circuitbase.demo import sentences, world

BOS, PAD, UNKNOWN = "<bos>", "<pad>", "<unk>"
WORD = re.compile(r"\w+|[^\w\s]+")  # what the tokenizer's pre-tokenizer splits by


def words_of_the_world() -> list[str]:
    """Returns every word that a sentence can hold, in a fixed order."""
    lists: list[list[str]] = [
        world.CITY_FIRST, world.CITY_SECOND, world.STATES, world.CAPITALS, world.RIVERS, world.GOVERNORS,
        *world.BIRDS.values(), *world.NAMES.values(), world.PLACES, world.GIFTS, world.EVENTS, world.YEARS,
        *world.NOUNS.values(), world.PERSON_FIRST, world.PERSON_LAST, world.PROFESSIONS, ["unknown"],
        world.HARMFUL, world.HARMLESS, world.SUFFIX.split(), world.FILLERS,
        ["he", "she", "was", "were", "sure", "sorry"],
    ]  # fmt: skip
    text = [" ".join(words) for words in lists]
    text += [pairs.replace("|", " ") for pairs in world.ANTONYMS.values()]
    text += [word for words in world.ATTRIBUTE_WORDS.values() for word in words.values()]
    text += list(sentences.FRENCH_ARTICLE.values())
    text += [re.sub(r"\{\w+\}", " ", template) for template in sentences.every_template()]
    return list(dict.fromkeys(WORD.findall(" ".join(text))))


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Returns the tokenizer; it puts <bos> at position 0 and gives each word's place in the text."""
    vocabulary = {word: k for k, word in enumerate([BOS, PAD, UNKNOWN, *words_of_the_world()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, pad_token=PAD, unk_token=UNKNOWN, model_max_length=64,
        clean_up_tokenization_spaces=False, padding_side="right",
    )  # fmt: skip
