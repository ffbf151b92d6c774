"""Which model and which dictionary: names, content digests and sizes, read without loading any weights."""

from dataclasses import dataclass
from pathlib import Path

from circuitbase.errors import ModelError
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity
from circuitbase.schema.identity import sha256
from circuitbase.tracing.architectures import architecture
from circuitbase.tracing.digests import content_digest, file_digest
from circuitbase.tracing.formats.detection import read_stored_dictionary
from circuitbase.tracing.formats.stored import StoredDictionary
from circuitbase.tracing.hook_names import dictionary_hooks, reads_head_values, site_of
from circuitbase.tracing.hooks import Hook
from circuitbase.tracing.locating import NAME_FILE, Located, locate
from circuitbase.tracing.model_config import read_model_config

OTHER_NAMES = {"gpt2-small": "gpt2"}  # TransformerLens' names of models -> the hub's
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
    return located_dictionary(folder, model=model, any_model_name=any_model_name).identity


@dataclass(frozen=True)
class LocatedDictionary:
    """A dictionary that was found, checked to be one for a model, and not yet read."""

    stored: StoredDictionary
    reads: Hook
    writes: Hook
    identity: DictionaryIdentity


def located_dictionary(folder: str | Path, *, model: ModelIdentity, any_model_name: bool = False) -> LocatedDictionary:
    """Returns what `read_dictionary_identity` does, with the description that the identity was read from."""
    located = locate(folder, what="dictionary")
    stored = read_stored_dictionary(located.folder)
    described = stored.described
    check_made_for(stored, model=model, any_model_name=any_model_name)
    reads, writes = dictionary_hooks(
        described, architecture=model.architecture, norm=architecture(model.architecture).norm
    )
    identity = DictionaryIdentity(
        name=located.name,
        digest=_digest(located, stored, reads, writes),
        model=model.id,
        kind=described.kind,
        site=site_of(described, writes),
        activation=described.rule.activation,
        n_features=described.n_features,
    )
    return LocatedDictionary(stored, reads, writes, identity)


def _digest(located: Located, stored: StoredDictionary, reads: Hook, writes: Hook) -> str:
    """Returns a dictionary's digest: the commit, if it lies on the hub with all its files, else by contents."""
    if located.revision is not None and all(path.is_relative_to(stored.folder) for path in stored.files):
        return located.revision
    return dictionary_digest(stored, reads, writes)


def dictionary_digest(stored: StoredDictionary, reads: Hook, writes: Hook) -> str:
    """Returns the SHA-256, in hex, of the files that say what a dictionary computes.

    Files count by their place below the folder, which may say their layer. Where the place alone says
    what is read and written, as in Gemma Scope's first release, that counts too.
    """
    files = sorted([_place(path, stored.folder), file_digest(path)] for path in stored.files)
    if stored.described.said_by_place:
        files.append([reads.value, writes.value])
    return sha256(files)


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def check_made_for(stored: StoredDictionary, *, model: ModelIdentity, any_model_name: bool) -> None:
    """Raises ModelError, with everything that does not fit, if a dictionary was not made for the model."""
    described = stored.described
    problems = []
    wrong = {described.d_read, described.d_write} - {model.d_model}
    if wrong and not reads_head_values(described):
        shown = " and ".join(map(str, sorted(wrong)))
        problems.append(f"its width is {shown}, the model's {model.d_model}")
    if len(stored.layers) != model.n_layers:
        lacking = ", ".join(str(layer) for layer in range(len(stored.layers), model.n_layers))
        problems.append(
            f"it has {len(stored.layers)} layers, the model {model.n_layers}"
            + (f", and none is there for layer {lacking}" if lacking else "")
        )
    if not any_model_name and described.model_name is not None and not _same_model(described.model_name, model.name):
        problems.append(
            f"{described.named_in} names the model {described.model_name}, but the model is called {model.name}"
        )
    if problems:
        sizes_fit = len(problems) == 1 and " names the model " in problems[0]
        remedy = (
            f'if it is the same model, write {{"name": "{_last_part(described.model_name or "")}"}} into {NAME_FILE} '
            "in the model's folder"
            if sizes_fit
            else "give the dictionary that was trained on this model"
        )
        raise ModelError(f"the dictionary {stored.folder} was made for another model: {'; '.join(problems)}; {remedy}")


def _same_model(one: str, other: str) -> bool:
    first, second = (plain_model_name(name) for name in (one, other))
    return first == second


def plain_model_name(name: str) -> str:
    """Returns a model's name without its organisation and without differences of mere spelling."""
    plain = _last_part(name).replace("gemma-v3", "gemma-3")
    return OTHER_NAMES.get(plain, plain).removesuffix("-pt")


def _last_part(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1].lower()
