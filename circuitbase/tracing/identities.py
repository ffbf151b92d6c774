"""Which model and which dictionary: names, content digests and sizes, read without loading any weights."""

from pathlib import Path

from circuitbase.errors import ModelError
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity
from circuitbase.tracing.architectures import architecture
from circuitbase.tracing.digests import content_digest
from circuitbase.tracing.locating import NAME_FILE, Located, locate
from circuitbase.tracing.model_config import read_model_config
from circuitbase.tracing.transcoder_set import CONFIG_FILE, TranscoderSet, read_transcoder_set

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "spiece.model",
)


def read_model_identity(folder: str | Path, *, allow_pickle: bool = False) -> ModelIdentity:
    """Returns the identity of the model in a folder or at a hub id; raises ModelError if it cannot be used.

    The digest covers config.json and the weights: the safetensors files or, with `allow_pickle` and
    none of those, torch's; a hub model's is its commit.
    """
    located = locate(folder, what="model", allow_pickle=allow_pickle)
    return located_model_identity(located, allow_pickle=allow_pickle)


def located_model_identity(located: Located, *, allow_pickle: bool = False) -> ModelIdentity:
    """Returns the identity of a model whose folder is known."""
    config = read_model_config(located.folder)
    weights = sorted(located.folder.glob("*.safetensors"))
    pickles = sorted(located.folder.glob("pytorch_model*.bin"))
    if not weights and not (pickles and allow_pickle):
        raise ModelError(
            f"{located.folder} should hold the model's weights as safetensors, but holds "
            + ("pickles alone; allow pickles if you trust whoever made them, or " if pickles else "none; ")
            + "save the model with transformers' save_pretrained"
        )
    weights = weights or pickles
    tokenizer = [path for name in TOKENIZER_FILES if (path := located.folder / name).exists()]
    return ModelIdentity(
        name=located.name,
        digest=located.revision or content_digest([located.folder / "config.json", *weights]),
        tokenizer_digest=content_digest(tokenizer),
        architecture=config.architecture,
        revision=located.revision,
        n_layers=config.n_layers,
        d_model=config.d_model,
        d_vocab=config.d_vocab,
    )


def read_dictionary_identity(
    folder: str | Path, *, model: ModelIdentity, any_model_name: bool = False
) -> DictionaryIdentity:
    """Returns the identity of the dictionary in a folder or at a hub id.

    Raises ModelError if it cannot be used, or was made for another model: by its width, its number
    of layers, or the model name it gives (not looked at with `any_model_name`).
    """
    _, identity = located_dictionary(folder, model=model, any_model_name=any_model_name)
    return identity


def located_dictionary(
    folder: str | Path, *, model: ModelIdentity, any_model_name: bool
) -> tuple[TranscoderSet, DictionaryIdentity]:
    """Returns what `read_dictionary_identity` does, with the description that the identity was read from."""
    located = locate(folder, what="dictionary")
    found = read_transcoder_set(located.folder)
    check_made_for(found, model=model, any_model_name=any_model_name)
    identity = DictionaryIdentity(
        name=located.name,
        digest=located.revision or content_digest(found.files),
        model=model.id,
        kind="transcoder_set",
        site="mlp",
        activation=found.activation,
        n_features=found.n_features,
    )
    return found, identity


def check_made_for(found: TranscoderSet, *, model: ModelIdentity, any_model_name: bool) -> None:
    """Raises ModelError, with everything that does not fit, if a dictionary was not made for the model."""
    problems = []
    if found.d_model != model.d_model:
        problems.append(f"its width is {found.d_model}, the model's {model.d_model}")
    if len(found.layer_files) != model.n_layers:
        problems.append(f"it has {len(found.layer_files)} layers, the model {model.n_layers}")
    if not any_model_name and found.model_name is not None and _last_part(found.model_name) != model.name.lower():
        problems.append(f"its {CONFIG_FILE} names the model {found.model_name}, but the model is called {model.name}")
    if problems:
        sizes_fit = len(problems) == 1 and problems[0].startswith("its config")
        remedy = (
            f'if it is the same model, write {{"name": "{_last_part(found.model_name or "")}"}} into {NAME_FILE} in '
            "the model's folder"
            if sizes_fit
            else "give the dictionary that was trained on this model"
        )
        raise ModelError(f"the dictionary {found.folder} was made for another model: {'; '.join(problems)}; {remedy}")
    if found.reads == "ln2.hook_normalized":
        check_normalized_hook(found, model=model)


def check_normalized_hook(found: TranscoderSet, *, model: ModelIdentity) -> None:
    """Raises ModelError where `ln2.hook_normalized` could mean two tensors.

    For a LayerNorm it is the norm's output in TransformerLens before 3, and the value before weight
    and bias from 3 on; for an RMSNorm it is the latter in every version.
    """
    if architecture(model.architecture).norm == "layer" and found.lens_version is None:
        raise ModelError(
            f"{found.folder / CONFIG_FILE}: feature_input_hook ln2.hook_normalized is the norm's output in "
            "TransformerLens 2 and the value before its weight and bias in 3; write mlp.hook_in if it was trained on "
            "the former, or add the line transformer_lens_version: 3"
        )


def _last_part(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1].lower()
