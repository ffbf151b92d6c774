"""Which model and dictionary imported graphs are of, as the options of `import` say."""

from typing import TYPE_CHECKING

from circuitbase.cli.models import resolve_dictionary, resolve_model
from circuitbase.errors import InputError

if TYPE_CHECKING:
    from circuitbase.ingest.foreign.naming import Naming


def given_naming(
    model: str | None,
    dictionary: str | None,
    model_name: str | None,
    dictionary_name: str | None,
    *,
    any_model_name: bool,
) -> "Naming":
    """Returns what the options say; raises InputError if they contradict each other, ModelError for a bad folder."""
    from circuitbase.ingest.foreign.naming import Naming

    if dictionary is not None and model is None:
        raise InputError("--dictionary needs --model, as a dictionary's identity holds its model's; add it")
    for folder, name, what in ((model, model_name, "model"), (dictionary, dictionary_name, "dictionary")):
        if folder is not None and name is not None:
            raise InputError(f"--{what} and --{what}-name both say which {what} it is; leave one out")
    if model is None:
        return Naming(model_name=model_name, dictionary_name=dictionary_name)
    from circuitbase.tracing.identities import read_dictionary_identity, read_model_identity
    from circuitbase.tracing.tokenizing import PromptTokenizer

    place = resolve_model(model)
    identity = read_model_identity(place)
    of_dictionary = None
    if dictionary is not None:
        of_dictionary = read_dictionary_identity(
            resolve_dictionary(dictionary), model=identity, any_model_name=any_model_name
        )
    return Naming(
        dictionary_name=dictionary_name,
        model=identity,
        dictionary=of_dictionary,
        token_string=PromptTokenizer(place).token_string,
    )
