"""The documentation, held to what the program does."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from neo4j import Driver

from circuitbase.settings import Settings
from tests.console_examples import ROOT, difference, examples, run, run_here
from tests.python_examples import python_examples, run_together
from tests.workers.running import running_worker

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
_LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(#[^)]*)?\)")


@pytest.fixture
def working(settings: Settings, database: Driver, tmp_path: Path) -> Iterator[Settings]:
    with running_worker(settings, queues="trace,ingest", log=tmp_path / "worker.log"):
        yield settings


@pytest.mark.timeout(900)
def test_the_quickstart_prints_what_it_shows(working: Settings) -> None:
    check_examples("docs/quickstart.md", at_least=8, here=False)


@pytest.mark.timeout(900)
def test_the_page_on_global_circuits_prints_what_it_shows(working: Settings) -> None:
    check_examples("docs/circuits.md", at_least=8, here=False)


@pytest.mark.timeout(900)
def test_the_page_on_tracing_prints_what_it_shows() -> None:
    check_examples("docs/tracing.md", at_least=5)


@pytest.mark.timeout(900)
def test_the_page_on_attention_prints_what_it_shows() -> None:
    check_examples("docs/attention.md", at_least=6)


@pytest.mark.timeout(900)
def test_the_page_on_attribution_prints_what_it_shows() -> None:
    check_examples("docs/attribution.md", at_least=3)


@pytest.mark.timeout(900)
def test_the_page_on_patching_prints_what_it_shows() -> None:
    check_examples("docs/patching.md", at_least=5)


def test_the_page_on_graphs_of_other_tools_prints_what_it_shows() -> None:
    check_examples("docs/exchange.md", at_least=1)


@pytest.mark.parametrize(
    ("page", "printed"),
    [("tracing", "kept_mass=0.9"), ("attribution", "(8, 21, 53)"), ("exchange", 'L02/F00007 -> out " on"')],
)
def test_the_python_on_a_page_runs(page: str, printed: str) -> None:
    (block,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL
    )
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


@pytest.mark.timeout(900)
def test_the_page_on_components_prints_what_it_shows() -> None:
    check_examples("docs/components.md", at_least=2)


def test_the_python_on_the_page_on_components_prints_what_it_shows() -> None:
    found = python_examples((ROOT / "docs" / "components.md").read_text())
    shown = [example for example in found if example.printed is not None]
    assert len(shown) >= 4
    problems = [
        f"{example.code.splitlines()[0]} …: {problem}"
        for example, printed in zip(found, run_together(found, folder=ROOT), strict=True)
        if example.printed is not None
        for problem in [difference(printed, example.printed)]
        if problem
    ]
    assert not problems, "\n".join(["run `python -m tests.python_examples docs/components.md`", *problems])


def check_examples(page: str, *, at_least: int, here: bool = True) -> None:
    """Runs a page's examples in their order, and fails with all that print something else.

    `here` is in this process, where the model's packages are imported once and not for every example.
    """
    found = examples((ROOT / page).read_text())
    assert len(found) >= at_least
    problems = []
    for example in found:
        done = run_here(example) if here else run(example, folder=ROOT)
        assert done.returncode == 0, f"{example.shown}\n{done.stderr}"
        problem = difference(done.stdout, example.printed)
        if problem:
            problems.append(f"{example.shown}: {problem}")
    assert not problems, "\n".join([f"run `python -m tests.console_examples {page}`", *problems])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    missing = [target for target, _ in _LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert not missing
