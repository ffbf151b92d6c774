"""Features that a user names, as (layer, feature), checked before any weights are loaded."""

from collections.abc import Iterable

from circuitbase.errors import InputError
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity


def check_features(
    features: Iterable[tuple[int, int]], *, model: ModelIdentity, dictionary: DictionaryIdentity
) -> None:
    """Raises InputError, with all that are wrong, if a dictionary does not have these features."""
    wrong = [
        f"{layer}/{feature}"
        for layer, feature in features
        if not (0 <= layer < model.n_layers and 0 <= feature < dictionary.n_features)
    ]
    if wrong:
        raise InputError(
            f"a feature must have a layer from 0 to {model.n_layers - 1} and an index from 0 to "
            f"{dictionary.n_features - 1} in this dictionary, got {', '.join(wrong)}"
        )
