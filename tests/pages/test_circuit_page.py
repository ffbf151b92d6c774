import json
import re
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from circuitbase.pages.circuit_page import circuit_page
from circuitbase.pages.circuit_svg import circuit_svg
from circuitbase.pages.global_circuit_drawing import drawing_of
from tests.pages.invented_circuits import invented_circuit, invented_labels

HOSTILE = ("</script><b>bold</b>", "<!-- <script>", "\"' onload=alert(1) &amp;", "{script} {0} 東京", "]]> \\u003c")


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text inside each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


def drawing(n_units: int, *, by_role: bool = False, hostile: bool = False):
    circuit = invented_circuit(n_units, by_role=by_role)
    labels = invented_labels(circuit)
    if hostile:
        labels.update(zip(sorted(labels), HOSTILE, strict=False))
    return drawing_of(circuit, labels, max_units=n_units, max_edges=2 * n_units)


@pytest.mark.parametrize("n_units", [10, 200])
def test_the_page_is_one_file_that_loads_nothing(n_units: int) -> None:
    page = circuit_page(drawing(n_units))
    assert not re.search(r"https?:|url\(|@import|\bfetch\(|XMLHttpRequest|import\(", page)
    elements = Elements(page)
    assert not [tag for tag, attributes in elements.found if {"src", "href", "srcset", "data"} & attributes.keys()]
    assert not [tag for tag, _ in elements.found if tag in ("link", "img", "iframe", "object", "base")]
    policy = [attributes["content"] for tag, attributes in elements.found if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"]


def test_words_of_prompts_and_labels_cannot_break_the_page() -> None:
    shown = replace(drawing(30, hostile=True), title="<i>set</i>", subtitle="a & b")
    page = circuit_page(shown)
    elements = Elements(page)
    assert len(elements.scripts) == 2 and not elements.open[1:] and "</script" not in elements.scripts[0]
    assert not [attributes for _, attributes in elements.found if "onload" in attributes]
    data = json.loads(elements.scripts[0])
    assert [unit["label"] for unit in data["units"]] == [unit.label for unit in shown.units]
    assert set(HOSTILE) <= {unit["label"] for unit in data["units"]}
    said = [attributes["aria-label"] for tag, attributes in elements.found if attributes.get("tabindex") == "0"]
    for unit in shown.units:
        assert f'aria-label="{escape(unit.label)}, {escape(unit.name)}' in page
        assert [each for each in said if each and each.startswith(f"{unit.label}, {unit.name}")]
    assert "<i>set</i>" not in page and escape("<i>set</i>") in page


def test_the_data_of_the_page_are_units_and_edges_with_their_numbers() -> None:
    shown = drawing(10)
    data = json.loads(Elements(circuit_page(shown)).scripts[0])
    for row, edge in zip(data["edges"], shown.edges, strict=True):
        ends = data["units"][row["source"]]["id"], data["units"][row["target"]]["id"]
        assert ends == (edge.source, edge.target)
        assert dict(row["numbers"])["traces"].isdigit() and row["influence"] == edge.influence
    assert all(dict(unit["numbers"])["presence"].endswith(")") for unit in data["units"])


@pytest.mark.parametrize(("n_units", "by_role"), [(10, False), (200, False), (200, True)])
def test_the_drawing_has_every_unit_and_edge_inside_its_frame(n_units: int, by_role: bool) -> None:
    shown = drawing(n_units, by_role=by_role, hostile=True)
    root = ElementTree.fromstring(circuit_svg(shown))
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(ids) == len(set(ids))
    assert {f"u{at}" for at in range(len(shown.units))} | {f"e{at}" for at in range(len(shown.edges))} <= set(ids)
    for element in root.iter():
        for x, y in (("x", "y"), ("cx", "cy")):
            if x in element.attrib:
                assert 0 <= float(element.attrib[x]) <= width and 0 <= float(element.attrib[y]) <= height
    dashed = [
        element.get("stroke-dasharray") is not None for element in root.iter() if "edge" in element.get("class", "")
    ]
    assert sum(dashed) == sum(edge.weight < 0 for edge in shown.edges)


def test_every_unit_can_be_reached_with_the_keyboard_from_the_bottom_up() -> None:
    shown = drawing(30)
    root = ElementTree.fromstring(circuit_svg(shown))
    order = [int(element.attrib["id"][1:]) for element in root.iter() if element.get("tabindex") == "0"]
    rows = [shown.units[at].row for at in order]
    assert sorted(order) == list(range(len(shown.units))) and rows == sorted(rows)


def test_equal_circuits_give_equal_pages_and_an_empty_one_is_a_page() -> None:
    assert circuit_page(drawing(10)) == circuit_page(drawing(10))
    empty = replace(drawing(10), units=(), edges=())
    assert json.loads(Elements(circuit_page(empty)).scripts[0]) == {"units": [], "edges": []}
