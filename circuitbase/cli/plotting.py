"""Writes plots of circuits and contrasts into files; the suffix says which kind."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from circuitbase.pages.picture_bytes import Suffix
    from circuitbase.queries.circuit import GlobalCircuit
    from circuitbase.queries.contrast_over_traces import TraceContrast

PICTURES = (".png", ".svg")
PAGES = (*PICTURES, ".html")
PICTURE_UNITS, PAGE_UNITS = 30, 200  # a page can be searched and narrowed, a picture cannot
EDGES_PER_UNIT = 2


def plot_file(*suffixes: str) -> Callable[[click.Context, click.Parameter, Path | None], Path | None]:
    """Returns a callback that takes paths that end in one of the suffixes."""

    def checked(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
        if path is not None and path.suffix.lower() not in suffixes:
            known = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
            raise click.BadParameter(f"should be a file that ends in {known}, got {path.name!r}")
        return path

    return checked


def write_circuit_plot(found: "GlobalCircuit", labels: dict[str, str], path: Path, *, units: int | None) -> None:
    """Writes the layered drawing of at most so many units, as picture or page; raises StoreError if it cannot."""
    from circuitbase.pages.circuit_page import circuit_page
    from circuitbase.pages.circuit_plot import circuit_figure
    from circuitbase.pages.global_circuit_drawing import drawing_of
    from circuitbase.pages.picture_bytes import picture_bytes

    is_page = path.suffix.lower() == ".html"
    most = units or (PAGE_UNITS if is_page else PICTURE_UNITS)
    drawing = drawing_of(found, labels, max_units=most, max_edges=EDGES_PER_UNIT * most)
    if is_page:
        _write(circuit_page(drawing).encode(), path)
    else:
        _write(picture_bytes(circuit_figure(drawing), picture_suffix(path)), path)


def write_presence_plot(found: "GlobalCircuit", labels: dict[str, str], path: Path) -> None:
    """Writes presence against effect of the edges; raises StoreError if it cannot."""
    from circuitbase.pages.presence_plot import presence_picture

    _write(presence_picture(found, labels, picture_suffix(path)), path)


def write_volcano(found: "TraceContrast", labels: dict[str, str], path: Path, *, rate: float) -> None:
    """Writes the volcano of a tested contrast; raises StoreError if it cannot."""
    from circuitbase.pages.volcano_plot import volcano_picture

    _write(volcano_picture(found, labels, picture_suffix(path), rate=rate), path)


def picture_suffix(path: Path) -> "Suffix":
    """Returns which kind of picture a path that `plot_file` took is of."""
    return ".svg" if path.suffix.lower() == ".svg" else ".png"


def _write(content: bytes, path: Path) -> None:
    from circuitbase.store.trace_store import write_bytes

    write_bytes(content, str(path))
    click.echo(f"Drawn: {path}", err=True)
