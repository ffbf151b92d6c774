"""What a user may call a model or a dictionary: a folder, a hub id, or the name of a packaged one."""

from pathlib import Path

from circuitbase.demo.packaged import model_folder, packaged_folder, transcoder_folder
from circuitbase.errors import InputError


def resolve_model(name: str) -> str:
    """Returns the folder of the packaged model of that name; another name, or one that is a folder here, as it is."""
    return str(model_folder(name)) if _is_packaged(name) else name


def resolve_dictionary(name: str) -> str:
    """Returns the folder of the dictionary packaged under a model's name; any other name as it is."""
    return str(transcoder_folder(name)) if _is_packaged(name) else name


def _is_packaged(name: str) -> bool:
    if not name.isidentifier() or Path(name).is_dir():
        return False
    try:
        packaged_folder(name)
    except InputError:
        return False
    return True
