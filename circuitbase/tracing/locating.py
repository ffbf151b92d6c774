"""Where a model or a dictionary lies: a local folder, or a repository of the Hugging Face hub.

A hub id is `org/name`, for dictionaries also `org/name/subfolder`, each with an optional `@revision`.
A folder that exists always wins.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from circuitbase.errors import ModelError

HUB_ID = re.compile(
    r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(?P<subfolder>(?:/[\w-][\w.-]*)*)(?:@(?P<revision>[\w./-]+))?"
)
WANTED = ("*.json", "*.yaml", "*.safetensors", "*.txt", "*.model", "*.jinja")  # no pickle
PICKLES = ("*.bin",)
HUB_FILE = re.compile(
    r"hf://(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)/(?P<file>[^?@]+)(?:\?revision=(?P<revision>[\w./-]+))?"
)
# dictionaries have other files too; a .pt file is read without running code
WANTED_OF_DICTIONARIES = (*WANTED, "*.npz", "ae.pt", "*/ae.pt")
NAME_FILE = "circuitbase.json"


@dataclass(frozen=True)
class Located:
    """A folder on this machine, what it is called, and the hub commit it came from (None if local)."""

    folder: Path
    name: str
    revision: str | None


def locate(place: str | Path, *, what: str, allow_pickle: bool = False) -> Located:
    """Returns where `place` lies, fetching it from the hub if it is a hub id; raises ModelError if nowhere.

    `what` is what errors call it: model or dictionary. Pickles are fetched with `allow_pickle` alone.
    A local folder is called what its `circuitbase.json` says (`{"name": ...}`), else by its own name; a
    folder called `model` takes its parent's name, and `transcoders`, which says what it holds, is
    shortened to `tc`.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return Located(folder=folder, name=_local_name(folder.resolve()), revision=None)
    hub = HUB_ID.fullmatch(str(place))
    if hub is None:
        raise ModelError(
            f"the {what} {str(place)!r} should be a folder or a hub id such as openai-community/gpt2, "
            "but there is no such folder; check the path"
        )
    wanted = WANTED_OF_DICTIONARIES if what == "dictionary" else WANTED
    return _from_hub(hub, what=what, files=(*wanted, *PICKLES) if allow_pickle else wanted)


def _local_name(folder: Path) -> str:
    path = folder / NAME_FILE
    if path.exists():
        try:
            name = json.loads(path.read_text(encoding="utf-8"))["name"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise ModelError(f'{path} should hold {{"name": ...}}, but cannot be read ({error}); correct it') from error
    else:
        name = folder.parent.name if folder.name == "model" else re.sub("^transcoders", "tc", folder.name)
    return plain_name(str(name))


def plain_name(name: str) -> str:
    """Returns a name that can stand in an id: letters, digits, `.`, `_` and `-` alone."""
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-") or "unnamed"


def _from_hub(hub: re.Match[str], *, what: str, files: tuple[str, ...]) -> Located:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise ModelError(
            f"the {what} {hub[0]!r} is no folder here, and fetching it from the hub needs huggingface_hub; "
            "give a folder, or install circuitbase[trace]"
        ) from error
    repository, subfolder, revision = hub["repository"], hub["subfolder"].strip("/"), hub["revision"]
    wanted = [f"{subfolder}/{pattern}" if subfolder else pattern for pattern in files]
    try:
        snapshot = Path(snapshot_download(repository, revision=revision, allow_patterns=wanted))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"the {what} {hub[0]!r} is no folder here and could not be fetched from the hub ({reason}); "
            "check the path, or the id and the connection"
        ) from error
    folder = snapshot / subfolder if subfolder else snapshot
    if not folder.is_dir():
        raise ModelError(f"the hub repository {repository} has no folder {subfolder} at {snapshot.name}; check the id")
    return Located(
        folder=folder, name=plain_name(folder.name if subfolder else repository.split("/")[1]), revision=snapshot.name
    )


def locate_file(address: str) -> Path:
    """Returns the file at `hf://org/repo/path?revision=...`, fetched if need be; raises ModelError if it is nowhere."""
    match = HUB_FILE.fullmatch(address)
    if match is None:
        raise ModelError(f"a file's address must look like hf://org/repo/path?revision=main, got {address}")
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise ModelError(
            f"fetching {address} needs huggingface_hub; fetch the file yourself, or install circuitbase[trace]"
        ) from error
    try:
        return Path(hf_hub_download(match["repository"], match["file"], revision=match["revision"]))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"{address} could not be fetched from the hub ({reason}); check the address and the connection"
        ) from error
