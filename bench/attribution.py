"""Measures attribution beside circuit-tracer: time, memory, and how far the edges of the two graphs differ.

`python bench/attribution.py [--json FILE] [--curves] [--long] [--gpu]`. The standard shape is a random GPT-2 of 12
layers with 24,576 features a layer, about 9,000 of them active on 16 tokens behind the begin-of-sequence token,
complete graph, both tracers in processes of their own on the same files and token ids. Nothing here is a test:
numbers depend on the machine and on what else runs there.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.attribution_atlas import atlas_rate  # noqa: E402
from bench.attribution_curves import curves  # noqa: E402
from bench.attribution_long import long_prompt  # noqa: E402
from bench.attribution_standard import standard  # noqa: E402
from bench.measurement import Measurement, table, write_json  # noqa: E402


def main() -> None:
    """Runs what was asked for, prints a table and writes the measurements that have a goal to --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the measurements that have a goal here")
    parser.add_argument("--folder", type=Path, help="keep the random models here, for the next time")
    parser.add_argument("--baseline-env", type=Path, help="circuit-tracer's environment, made if it is not there")
    parser.add_argument("--without-baseline", action="store_true", help="leave out circuit-tracer, which takes minutes")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each tracer")
    parser.add_argument("--batch-size", type=int, default=256, help="circuit-tracer's; 512 was slower on two cores")
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    parser.add_argument("--without-standard", action="store_true", help="leave out the standard shape and the atlas")
    parser.add_argument("--curves", action="store_true", help="other numbers of tokens and features too")
    parser.add_argument("--long", action="store_true", help="a graph of 60,000 active features too")
    parser.add_argument("--gpu", action="store_true", help="the shape of Gemma-2-2B, made on the device, too")
    parser.add_argument("--device", default="cuda", help="for --gpu")
    parser.add_argument("--architecture", default="gemma2", choices=("gemma2", "gpt2"), help="for --gpu")
    parser.add_argument("--scale", type=float, default=1.0, help="for --gpu: sizes are multiplied by it")
    parser.add_argument("--options", default="{}", help="for --gpu: options of TraceOptions, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="circuitbase-bench-") as temporary:
        folder = arguments.folder or Path(temporary)
        environment = arguments.baseline_env or Path(temporary) / "baseline"
        found: list[Measurement] = []
        if not arguments.without_standard:
            said("tracing the standard shape")
            found += standard(
                folder,
                None if arguments.without_baseline else environment,
                threads=arguments.threads,
                batch_size=arguments.batch_size,
                profile=arguments.profile,
            )
            said("tracing the packaged prompt sets")
            found += atlas_rate()
        if arguments.curves:
            said("tracing other shapes")
            found += curves(
                folder,
                None if arguments.without_baseline else environment,
                threads=arguments.threads,
                batch_size=arguments.batch_size,
            )
        if arguments.long:
            said("tracing a long prompt")
            found += long_prompt(folder, threads=arguments.threads)
        if arguments.gpu:
            said(f"tracing on {arguments.device}")
            from bench.attribution_device import device_seconds

            found += device_seconds(
                arguments.device,
                architecture=arguments.architecture,
                scale=arguments.scale,
                options=json.loads(arguments.options),
                profiled=arguments.profile,
            )
    print(table(found))
    if arguments.json:
        write_json(found, arguments.json)


def said(sentence: str) -> None:
    """Says on standard error what is measured next, and how busy the machine is."""
    print(f"{time.strftime('%H:%M:%S')} {sentence} (load {os.getloadavg()[0]:.1f})", file=sys.stderr)


if __name__ == "__main__":
    main()
