"""Where the packaged demo model, its dictionaries, its prompts and its pairs lie. Imports no torch."""

from importlib.resources import files
from pathlib import Path

from circuitbase.errors import InputError


def packaged_folder(name: str = "atlas") -> Path:
    """Returns the folder of a packaged model; raises InputError that names the ones there are."""
    here = Path(str(files("circuitbase.demo")))
    if not (here / name / "model" / "config.json").exists():
        there = ", ".join(sorted(path.parent.parent.name for path in here.glob("*/model/config.json"))) or "none"
        raise InputError(f"the packaged model must be one of: {there}; got {name!r}")
    return here / name


def model_folder(name: str = "atlas") -> Path:
    """Returns the Hugging Face folder of the packaged model."""
    return packaged_folder(name) / "model"


def transcoder_folder(name: str = "atlas") -> Path:
    """Returns the folder of the packaged JumpReLU transcoders."""
    return packaged_folder(name) / "transcoders"


def topk_folder(name: str = "atlas") -> Path:
    """Returns the folder of the tiny TopK transcoders, which serve tests only."""
    return packaged_folder(name) / "transcoders-topk"


def prompt_sets(name: str = "atlas") -> dict[str, Path]:
    """Returns the prompt files of the packaged model by set name, sorted."""
    return {path.stem: path for path in sorted((packaged_folder(name) / "prompts").glob("*.jsonl"))}


def pair_sets(name: str = "atlas") -> dict[str, Path]:
    """Returns the files of pairs of prompts of the packaged model by set name, sorted."""
    return {path.stem: path for path in sorted((packaged_folder(name) / "pairs").glob("*.json"))}


def report_file(name: str = "atlas") -> Path:
    """Returns the file with every number measured when the packaged model was made."""
    return packaged_folder(name) / "report.json"
