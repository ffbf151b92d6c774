"""Makes the demo model `atlas` from nothing: `python -m circuitbase.demo.make_atlas --out FOLDER`.

World, tokenizer, model, gates, transcoders, prompt sets, replacement scores, recovery of the world's variables,
report and tables, in under 40 minutes on 2 cores. `--random` keeps the random weights (the control), `--seed` makes
another model of the same world.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from circuitbase.demo.encoding import encode
from circuitbase.demo.gates import dictionary_gates, model_gates, refuse_failures
from circuitbase.demo.measure import measure, share_right
from circuitbase.demo.pair_sets import pair_sets, write_pair_sets
from circuitbase.demo.prompt_sets import prompt_sets, write_prompt_sets
from circuitbase.demo.recovery import recover
from circuitbase.demo.replacement import replacement_scores
from circuitbase.demo.tables import atlas_page
from circuitbase.demo.train_dictionaries import (
    TOPK_FIXTURE,
    dictionary_activations,
    score_dictionaries,
    train_dictionaries,
)
from circuitbase.demo.train_model import ModelOptions, new_model, train_model
from circuitbase.demo.word_tokenizer import make_tokenizer
from circuitbase.demo.world import make_world
from circuitbase.errors import ModelError
from circuitbase.training.batch_topk import TrainingOptions
from circuitbase.training.transcoder_set import save_transcoder_set

log = logging.getLogger("circuitbase.demo")

THREADS = 2
NAME = "atlas"


@dataclass(frozen=True)
class AtlasOptions:
    """How a model and its dictionaries are made; the defaults are those of the packaged ones."""

    seed: int = 0
    """Of weights and sentences; overrides the seeds of `model` and `dictionary`."""
    trained: bool = True
    """False leaves the model's weights random."""
    model: ModelOptions = field(default_factory=ModelOptions)
    dictionary: TrainingOptions = field(default_factory=TrainingOptions)
    training_sentences: int = 16_000
    """Sentences that the dictionaries are trained on."""
    evaluation_sentences: int = 6_000
    """Sentences that the dictionaries are scored on."""


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), help="Also write the tables to this page.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights and sentences; the world stays.")
@click.option("--random", "random_weights", is_flag=True, help="Leave the model untrained: the control.")
def main(out: Path, page: Path | None, seed: int, random_weights: bool) -> None:
    """Trains the demo model and its dictionaries and measures them."""
    torch.set_num_threads(THREADS)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        report = make_atlas(out, AtlasOptions(seed=seed, trained=not random_weights))
    except ModelError as error:
        raise click.ClickException(str(error)) from error
    if page is not None:
        page.write_text(atlas_page(report), encoding="utf-8")


def make_atlas(out: Path, options: AtlasOptions) -> dict[str, Any]:
    """Writes model, dictionaries, prompt sets and report; raises ModelError if what was trained fails a gate."""
    seed = options.seed
    minutes: dict[str, float] = {}
    world, tokenizer = make_world(), make_tokenizer()
    model = new_model(tokenizer, seed)
    if options.trained:
        with timed("model", minutes):
            train_model(model, tokenizer, world, replace(options.model, seed=seed), progress=log_model)
    with timed("gates", minutes):
        measured = measure(model, tokenizer, world)
    save_model(model, tokenizer, out / "model")
    gates = model_gates(measured)
    if options.trained:
        refuse_failures(gates)
    with timed("transcoders", minutes):
        activations = dictionary_activations(model, tokenizer, world, options.training_sentences, seed)
        transcoders = train_dictionaries(activations, replace(options.dictionary, seed=seed), progress=log_layer)
        save_transcoder_set(transcoders, out / "transcoders", model_name=NAME)
        tiny = train_dictionaries(activations, TOPK_FIXTURE, progress=log_layer)
        save_transcoder_set(tiny, out / "transcoders-topk", model_name=NAME, top_k=TOPK_FIXTURE.k)
        evaluation = dictionary_activations(model, tokenizer, world, options.evaluation_sentences, seed + 1_000_003)
        scores = score_dictionaries(transcoders, evaluation)
    sets = prompt_sets(world)
    write_prompt_sets(sets, out / "prompts")
    write_pair_sets(pair_sets(sets), out / "pairs")
    with timed("scores", minutes):
        replacement = replacement_scores(out / "model", out / "transcoders", sets)
        recovered = recover(model, tokenizer, world, transcoders)
    mean_replacement = sum(replacement[name] * len(found) for name, found in sets.items()) / sum(
        map(len, sets.values())
    )
    gates += dictionary_gates(scores, mean_replacement)
    report = {
        "seed": seed,
        "trained": options.trained,
        "minutes": minutes,
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "model": asdict(measured),
        "gates": [asdict(gate) for gate in gates],
        "dictionaries": {"options": asdict(options.dictionary), "layers": [asdict(score) for score in scores]},
        "prompt_sets": {
            name: {
                "prompts": len(sentences),
                "accuracy": share_right(model, tokenizer, encode(tokenizer, sentences)),
                "replacement_score": replacement[name],
            }
            for name, sentences in sets.items()
        },
        "mean_replacement_score": mean_replacement,
        "recovery": [asdict(one) for one in recovered],
    }
    (out / "report.json").write_text(json.dumps(rounded(report), indent=1) + "\n")
    if options.trained:
        refuse_failures(gates)
    return json.loads((out / "report.json").read_text())


def save_model(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Writes the Hugging Face folder."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "circuitbase.json").write_text(json.dumps({"name": NAME}) + "\n")  # wherever the folder lies
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that transformers 4 knows, too
    path.write_text(json.dumps(config, indent=2) + "\n")


@contextmanager
def timed(stage: str, minutes: dict[str, float]) -> Iterator[None]:
    """Logs a stage and keeps its minutes."""
    start = time.monotonic()
    log.info("%s ...", stage)
    yield
    minutes[stage] = (time.monotonic() - start) / 60
    log.info("%s done in %.1f minutes", stage, minutes[stage])


def log_model(step: int, loss: float) -> None:
    """Logs every hundredth step of the model."""
    if step % 100 == 0:
        log.info("model step %d: loss %.3f", step, loss)


def log_layer(layer: int, step: int, fvu: float) -> None:
    """Logs every five hundredth step of a dictionary."""
    if step % 500 == 0:
        log.info("layer %d step %d: unexplained %.4f", layer, step, fvu)


def rounded(value: Any) -> Any:
    """Returns nested JSON values with floats to five significant digits, so that the report reads well."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


if __name__ == "__main__":
    main()
