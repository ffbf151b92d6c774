"""Traces one prompt with circuitbase and says what it took; runs in a process of its own, as circuit-tracer does.

`python attribution_ours.py REQUEST`, where REQUEST is a JSON file: `model`, `transcoders`, `token_ids`, `threads`,
`runs` (the options of one trace after another), `profile` (profiles the last), `graph` (where to keep the graph
of the first, or null) and `out`.
"""

import cProfile
import json
import pstats
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from bench.attribution_meter import Meter  # noqa: E402
from bench.attribution_stages import Stages  # noqa: E402
from circuitbase.graph.trace import Trace, TracedPrompt  # noqa: E402
from circuitbase.tracing.attribution import trace  # noqa: E402
from circuitbase.tracing.dictionaries import Dictionary, load_dictionary  # noqa: E402
from circuitbase.tracing.models import TracedModel, load_model  # noqa: E402
from circuitbase.tracing.options import TraceOptions  # noqa: E402

SHOWN = 15  # functions of a profile


def main() -> None:
    """Traces what the request asks for and writes the numbers to its `out`."""
    request = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(request["threads"])
    asked = [TraceOptions(**options) for options in request["runs"]]
    with Meter() as loading:
        model = load_model(request["model"])
        dictionary = load_dictionary(request["transcoders"], model=model)
        prompt = model.tokenizer.read(request["token_ids"])
    runs = []
    for options in asked:
        found, taken = measured(model, dictionary, prompt, options)
        runs.append(taken)
        if request["graph"] and options is asked[0]:
            targets = [target.token for target in found.metadata.targets]
            np.savez(request["graph"], **found.graph.arrays(), targets=targets)
        del found  # so that two graphs are never in memory together
    profile = hottest(model, dictionary, prompt, asked[-1]) if request["profile"] else []
    Path(request["out"]).write_text(json.dumps({"loading": loading.taken, "runs": runs, "profile": profile}))


def measured(
    model: TracedModel, dictionary: Dictionary, prompt: TracedPrompt, options: TraceOptions
) -> tuple[Trace, dict[str, Any]]:
    """Returns a trace, and what it took and held."""
    with Stages() as stages, Meter() as tracing:
        found = trace(model, dictionary, prompt, options)
    metadata, graph = found.metadata, found.graph
    return found, {
        **tracing.taken,
        "stages": stages.seconds,
        "active": metadata.counts.active_features,
        "nodes": metadata.counts.nodes,
        "edges": metadata.counts.edges,
        "stored_nodes": graph.n_nodes,
        "stored_edges": graph.n_edges,
        "kept_mass": getattr(metadata.scores, "kept_mass", 1.0),
        "violation": metadata.scores.account_violation,
        "scores": [metadata.scores.replacement, metadata.scores.completeness],
    }


def hottest(model: TracedModel, dictionary: Dictionary, prompt: TracedPrompt, options: TraceOptions) -> list[str]:
    """Returns a line, in processor seconds, for each function of this package that took longest with what it called."""
    profile = cProfile.Profile(time.process_time)
    profile.runcall(trace, model, dictionary, prompt, options)
    statistics: Any = pstats.Stats(profile)
    rows = [
        (cumulative, own, calls, f"{Path(file).stem}.{name}")
        for (file, _, name), (_, calls, own, cumulative, _) in statistics.stats.items()
        if Path(file).is_relative_to(ROOT / "circuitbase")
    ]
    return [
        f"{name:<42}{cumulative:8.2f} s, {own:7.2f} s of its own, {calls:7} calls"
        for cumulative, own, calls, name in sorted(rows, reverse=True)[:SHOWN]
    ]


if __name__ == "__main__":
    main()
