"""Which model and which dictionary an imported graph is of.

A file names them and no more, so their digests are made of the names: two imports that name the same model and the
same dictionary share their units. A file that circuitbase wrote, and a user who gives the folders, say the true ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from circuitbase.errors import GraphFileError
from circuitbase.graph.trace import DictionaryIdentity, ModelIdentity
from circuitbase.ingest.foreign.foreign_graph import ForeignGraph
from circuitbase.schema.identity import sha256
from circuitbase.schema.kinds import NodeKind
from circuitbase.tracing.identities import plain_model_name
from circuitbase.tracing.locating import plain_name

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Naming:
    """What a user says of the files' model and dictionary: names in place of theirs, or whose they truly are.

    `token_string` gives the text of a token id, where files hold none.
    """

    model_name: str | None = None
    dictionary_name: str | None = None
    model: ModelIdentity | None = None
    dictionary: DictionaryIdentity | None = None
    token_string: Callable[[int], str] | None = None


@dataclass(frozen=True)
class Named:
    """The identities of one graph, and what is to be said of how they were found."""

    model: ModelIdentity
    dictionary: DictionaryIdentity
    warnings: tuple[str, ...] = ()


def named(graph: ForeignGraph, naming: Naming, *, name: str) -> Named:
    """Returns a graph's identities; raises GraphFileError if it does not fit those that the user gives."""
    own_model, own_dictionary = _own(graph, name=name)
    warnings = []
    model = naming.model or (own_model if naming.model_name is None else None)
    if model is None:
        stated = naming.model_name or graph.stated.model
        if stated is None:
            stated = f"model-of-{graph.stated.dictionary or UNKNOWN}"
            warnings.append(f"the file does not name its model, so it is called {plain_name(stated)}; say --model-name")
        model = _model(stated, graph)
    dictionary = naming.dictionary or (own_dictionary if naming.dictionary_name is None else None)
    if dictionary is None or dictionary.model != model.id:
        stated = naming.dictionary_name or graph.stated.dictionary
        if stated is None:
            stated = f"dictionary-of-{model.name}"
            warnings.append(
                f"the file does not name its dictionary, so it is called {plain_name(stated)}; say --dictionary-name"
            )
        dictionary = _dictionary(stated, model)
    _check_fits(graph, model, dictionary, name=name)
    return Named(model, dictionary, tuple(warnings))


def _model(stated: str, graph: ForeignGraph) -> ModelIdentity:
    plain = plain_model_name(stated)
    return ModelIdentity(
        name=plain_name(plain),
        digest=sha256({"imported model": plain}),
        tokenizer_digest=sha256({"tokenizer of imported model": plain}),
        architecture=graph.stated.architecture or UNKNOWN,
        revision=None,
        n_layers=graph.n_layers,
        d_model=graph.stated.d_model,
        d_vocab=graph.stated.d_vocab,
    )


def _dictionary(stated: str, model: ModelIdentity) -> DictionaryIdentity:
    return DictionaryIdentity(
        name=plain_name(stated),
        digest=sha256({"imported dictionary": stated, "model": model.name}),
        model=model.id,
        kind=UNKNOWN,
        site="mlp",
        activation=UNKNOWN,
        n_features=0,
    )


def _own(graph: ForeignGraph, *, name: str) -> tuple[ModelIdentity | None, DictionaryIdentity | None]:
    """Returns what a file of ours says that it is of."""
    if graph.own is None:
        return None, None
    try:
        model = ModelIdentity(**_fields(ModelIdentity, graph.own["model"]))
        dictionary = DictionaryIdentity(**_fields(DictionaryIdentity, graph.own["dictionary"]))
        return model, dictionary
    except (KeyError, TypeError) as error:
        raise GraphFileError(
            f"{name} says that circuitbase wrote it, but its `metadata.circuitbase` names no model and dictionary "
            f"({error}); export it again, or remove that entry"
        ) from error


def _fields(kind: type, found: Mapping[str, Any]) -> dict[str, Any]:
    given = {field.name: found[field.name] for field in fields(kind)}
    for field in fields(kind):
        value = given[field.name]
        if not isinstance(value, int if field.type in (int, "int") else str) and not (
            value is None and field.name == "revision"
        ):
            raise TypeError(f"{field.name} is {value!r:.40}")
    return given


def _check_fits(graph: ForeignGraph, model: ModelIdentity, dictionary: DictionaryIdentity, *, name: str) -> None:
    problems = []
    if model.n_layers != graph.n_layers:
        problems.append(f"it has {graph.n_layers} layers, and {model.name} has {model.n_layers}")
    tokens = [*graph.token_ids, *(output.token for output in graph.outputs if not output.is_custom)]
    if model.d_vocab and max(tokens) >= model.d_vocab:
        problems.append(f"it has token {max(tokens)}, and {model.name} has {model.d_vocab}")
    features = graph.nodes.unit[graph.nodes.kind == NodeKind.FEATURE]
    if dictionary.n_features and len(features) and int(features.max()) >= dictionary.n_features:
        problems.append(
            f"it has feature {int(features.max())}, and {dictionary.name} has {dictionary.n_features} a layer"
        )
    if problems:
        raise GraphFileError(
            f"{name} is not of the model and dictionary that it should be: {'; '.join(problems)}; name the right ones"
        )
