"""One PNG of head roles: a heat map per role, layers upwards, heads to the right."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from circuitbase.pages.heat_map import COLOURS, EMPTY
from circuitbase.pages.label_text import FAMILY, printable
from circuitbase.tracing.head_roles.roles import HeadRoles, Role

DOTS_PER_INCH = 150
CELL, SMALLEST_MAP, SMALLEST_WIDTH = 0.34, 1.5, 5.8  # inches
GAP, SIDE, HEAD, FOOT = 0.75, 0.6, 0.85, 0.95  # inches
MAPS_IN_A_ROW = 4
MOST_NUMBERED = 12  # heads or layers up to which every cell holds its score
TITLE_SIZE, LABEL_SIZE, NUMBER_SIZE = 13.0, 9.0, 6.0  # points
KEY = "Framed: above the role's bound. Grey: not measured."
_TITLES = {Role.S_INHIBITION: "S-inhibition"}


def head_role_png(found: HeadRoles, *, title: str, roles: Sequence[Role] = tuple(Role)) -> bytes:
    """Returns the picture as the bytes of a PNG file; equal scores give equal bytes."""
    content = BytesIO()
    head_role_figure(found, title=title, roles=roles).savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def head_role_figure(found: HeadRoles, *, title: str, roles: Sequence[Role] = tuple(Role)) -> Figure:
    """Returns a heat map for each of the roles that were measured, all on one scale from -1 to 1."""
    shown = [role for role in roles if role in found.scores]
    n_layers, n_heads = found.shape
    columns = min(MAPS_IN_A_ROW, len(shown))
    n_rows = -(-len(shown) // columns)
    width, height = max(SMALLEST_MAP, n_heads * CELL), max(SMALLEST_MAP, n_layers * CELL)
    size = (
        max(SMALLEST_WIDTH, SIDE + columns * (width + GAP)),
        HEAD + n_rows * height + (n_rows - 1) * GAP + FOOT,
    )
    figure = Figure(figsize=size, dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    figure.text(SIDE / size[0], 1 - 0.3 / size[1], printable(title), size=TITLE_SIZE, family=FAMILY, va="center")
    figure.text(SIDE / size[0], 0.2 / size[1], KEY, size=LABEL_SIZE - 1, family=FAMILY, color="#555555", va="center")
    for number, role in enumerate(shown):
        row, column = divmod(number, columns)
        left = SIDE + column * (width + GAP)
        bottom = size[1] - HEAD - (row + 1) * height - row * GAP
        axes = figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]))
        image = _draw(axes, found, role)
    scale = figure.add_axes(((size[0] - 2.2) / size[0], 0.2 / size[1], 1.6 / size[0], 0.1 / size[1]))
    figure.colorbar(image, cax=scale, orientation="horizontal", ticks=[-1, 0, 1])
    scale.tick_params(labelsize=NUMBER_SIZE + 1)
    return figure


def _draw(axes: Axes, found: HeadRoles, role: Role) -> AxesImage:
    score = found.scores[role].score
    axes.set_facecolor(EMPTY)
    image = axes.imshow(
        np.ma.masked_invalid(score), cmap=COLOURS, vmin=-1, vmax=1, origin="lower", aspect="auto", interpolation="none"
    )
    axes.set_title(_TITLES.get(role, role.value.replace("_", " ")), size=LABEL_SIZE, family=FAMILY)
    axes.set_xlabel("head", size=LABEL_SIZE - 1, family=FAMILY)
    axes.set_ylabel("layer", size=LABEL_SIZE - 1, family=FAMILY)
    n_layers, n_heads = score.shape
    axes.set_xticks(_ticks(n_heads))
    axes.set_yticks(_ticks(n_layers))
    axes.tick_params(labelsize=NUMBER_SIZE + 1)
    for layer, head in np.argwhere(np.isfinite(score)).tolist():
        value = score[layer, head]
        if value > found.bounds[role]:
            axes.add_patch(Rectangle((head - 0.5, layer - 0.5), 1, 1, fill=False, edgecolor="black", linewidth=1.2))
        if max(n_layers, n_heads) <= MOST_NUMBERED:
            colour = "white" if abs(value) > 0.7 else "black"
            axes.text(
                head, layer, f"{round(value, 2) + 0.0:.2f}", size=NUMBER_SIZE, ha="center", va="center", color=colour
            )
    return image


def _ticks(count: int) -> list[int]:
    return list(range(0, count, max(1, -(-count // 8))))
