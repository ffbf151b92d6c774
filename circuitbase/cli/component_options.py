"""Options of commands that change a model's components: the model, the metric, how it is computed."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from circuitbase.cli.models import resolve_model
from circuitbase.errors import InputError
from circuitbase.tracing.dtypes import DTYPE_NAMES

if TYPE_CHECKING:
    from circuitbase.tracing.components.attribution_options import MetricFunction, MetricName
    from circuitbase.tracing.components.component_model import ComponentModel
    from circuitbase.tracing.components.pairs import Pair
    from circuitbase.tracing.models import TracedModel

_OPTIONS = (
    click.option("--model", required=True, help="Model: a folder, a hub id, or the name of a packaged one."),
    click.option(
        "--metric",
        default="logit-difference",
        show_default=True,
        help="logit-difference, probability-difference, kl, or FILE.py:FUNCTION.",
    ),
    click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True, help="Pairs run together."),
    click.option(
        "--dtype", type=click.Choice(DTYPE_NAMES), default="float32", show_default=True, help="Number format."
    ),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1."),
    click.option(
        "--allow-pickle", is_flag=True, help="Read weights from pytorch_model.bin if there are no safetensors."
    ),
)
_NAMES = ("model", "metric", "batch_size", "dtype", "device", "allow_pickle")


@dataclass(frozen=True)
class ComponentRun:
    """What these options say."""

    model: str
    metric: str
    batch_size: int
    dtype: Any
    device: str
    allow_pickle: bool


@dataclass(frozen=True)
class Loaded:
    """A model by its components, with the pairs that were read for it."""

    traced: "TracedModel"
    components: "ComponentModel"
    pairs: "Sequence[Pair]"


def component_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options; the command receives them as one ComponentRun, `run`."""

    @functools.wraps(command)
    def with_run(**given: Any) -> Any:
        run = ComponentRun(**{name: given.pop(name) for name in _NAMES})
        return command(**given, run=run)

    for option in reversed(_OPTIONS):
        with_run = option(with_run)
    return with_run


def loaded(run: ComponentRun, pairs_file: str) -> Loaded:
    """Returns the model and the pairs of a file; what is wrong with the pairs is said before torch is imported."""
    from circuitbase.tracing.components.pair_file import read_pairs
    from circuitbase.tracing.identities import read_model_identity
    from circuitbase.tracing.tokenizing import PromptTokenizer

    place = resolve_model(run.model)
    read_model_identity(place, allow_pickle=run.allow_pickle)
    pairs = read_pairs(pairs_file, PromptTokenizer(place))

    import torch

    from circuitbase.tracing.components.hugging_face import component_model
    from circuitbase.tracing.models import load_model

    torch.set_num_threads(1)  # small matrices: more threads only wait for each other
    model = load_model(place, dtype=run.dtype, device=run.device, allow_pickle=run.allow_pickle)
    return Loaded(model, component_model(model), pairs)


def asked_metric(text: str) -> "MetricName | MetricFunction":
    """Returns the metric of that name, or the function of `FILE.py:FUNCTION`."""
    from circuitbase.tracing.components.attribution_options import METRIC_NAMES
    from circuitbase.tracing.components.metric_file import read_metric

    return text if text in METRIC_NAMES else read_metric(text)


def prompts_of(source: str, model: "TracedModel") -> list[tuple[int, ...]]:
    """Returns the token ids of the prompts of a file, of pairs (.json) the clean ones.

    Raises InputError that names its first bad line.
    """
    from circuitbase.store.prompt_file import read_prompts
    from circuitbase.store.prompt_line import BadLine
    from circuitbase.tracing.components.pair_file import read_pairs

    if source.endswith(".json"):
        return [pair.clean for pair in read_pairs(source, model.tokenizer)]
    found = []
    for line in read_prompts(source, standard_input=()):
        if isinstance(line, BadLine):
            raise InputError(f"{source} line {line.number}: {line.problem}; correct it")
        found.append(
            model.tokenizer.read(line.prompt if line.prompt is not None else list(line.tokens or ())).token_ids
        )
    return found
