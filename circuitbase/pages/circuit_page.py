"""One HTML page of a circuit, in one file that loads nothing: hover, click, filter and search."""

import json
from html import escape
from importlib.resources import files

from circuitbase.pages.circuit_drawing import CircuitDrawing, DrawnUnit
from circuitbase.pages.circuit_foot import CROWDED_KEY
from circuitbase.pages.circuit_svg import circuit_svg
from circuitbase.pages.plot_legend import FILL, ROLE_NAMES, is_crowded

# nothing is loaded from anywhere, which a reader's browser holds the page to
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_HOW = (
    "Hover over a unit or an edge, or step through the units with the Tab key, to see its numbers. A click or Enter "
    "keeps it. The arrow keys go up and down along the strongest edge."
)
_KEY = "Effects run upwards. Size and width: mean influence. Faint: in few traces."
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
{fills}
</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p>{subtitle}</p>
<div class="tools">
<label>Search <input id="search" type="search" autocomplete="off"></label><span id="hits" role="status"></span>
<label>Presence at least <input id="presence" type="range" min="0" max="100" value="0">
<output id="presence-said" for="presence"></output></label>
<label>Edge influence at least <input id="influence" type="range" min="0" max="100" value="0">
<output id="influence-said" for="influence"></output></label>
<span id="said" role="status"></span>
<span><button id="smaller" type="button" aria-label="smaller">−</button>
<button id="larger" type="button" aria-label="larger">+</button>
<button id="fit" type="button">Fit</button>
<button id="full" type="button">100 %</button></span>
</div>
</header>
<main>
<div id="frame">
{svg}
</div>
<aside id="panel" aria-live="polite"><p>{how}</p></aside>
</main>
<div class="legend">{legend}</div>
<script type="application/json" id="circuit">{data}</script>
<script>
{script}
</script>
</body>
</html>
"""


def circuit_page(drawing: CircuitDrawing) -> str:
    """Returns the page as HTML text. What comes from prompts and labels is escaped; equal circuits give equal text."""
    folder = files("circuitbase.pages")
    return _PAGE.format(
        policy=_POLICY,
        title=escape(drawing.title),
        subtitle=escape(drawing.subtitle),
        style=(folder / "circuit_page.css").read_text(encoding="utf-8"),
        fills="\n".join(
            f".role-{role} .mark, i.{role} {{ fill: {fill}; background: {fill}; }}" for role, fill in FILL.items()
        ),
        svg=circuit_svg(drawing),
        how=escape(_HOW),
        legend=_legend(drawing),
        data=_data(drawing),
        script=(folder / "circuit_page.js").read_text(encoding="utf-8"),
    )


def _data(drawing: CircuitDrawing) -> str:
    number = {unit.id: at for at, unit in enumerate(drawing.units)}
    data = {
        "units": [
            {
                "id": unit.id,
                "role": unit.role,
                "label": unit.label,
                "name": unit.name,
                "place": _place(drawing, unit),
                "presence": unit.presence,
                "numbers": unit.numbers,
            }
            for unit in drawing.units
        ],
        "edges": [
            {
                "source": number[edge.source],
                "target": number[edge.target],
                "weight": edge.weight,
                "influence": edge.influence,
                "presence": edge.presence,
                "numbers": edge.numbers,
            }
            for edge in drawing.edges
        ],
    }
    # inside a script only these could end it, or begin a comment that hides its end
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _place(drawing: CircuitDrawing, unit: DrawnUnit) -> str:
    return " · ".join(part for part in (drawing.row_names[unit.row], unit.column) if part)


def _legend(drawing: CircuitDrawing) -> str:
    drawn = {unit.role for unit in drawing.units}
    roles = [f'<span><i class="{role}"></i>{escape(ROLE_NAMES[role])}</span>' for role in FILL if role in drawn]
    key = _KEY + (CROWDED_KEY if is_crowded(drawing.edges) else "")
    signs = ["<span><b></b>raises its target</span>", '<span><b class="lowers"></b>lowers its target</span>']
    return "\n".join([*roles, *signs, f"<span>{escape(key)}</span>"])
