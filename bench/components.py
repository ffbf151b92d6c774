"""Measures edge attribution patching beside one hook per node, influence propagation, and what a pass costs.

`python bench/components.py [--json FILE] [--threads N] [--repeats N]`. The model is a random GPT-2 of 12 layers, 12
heads and width 768; prompts have 12 tokens, in a batch of 8. Nothing here is a test: numbers depend on the machine
and on what else runs there.
"""

import argparse
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from bench.components_eap import eap_rows  # noqa: E402
from bench.components_propagation import propagation_rows  # noqa: E402
from bench.components_subject import gpt2_small  # noqa: E402
from bench.measurement import Measurement, table, write_json  # noqa: E402


def main() -> None:
    """Runs every stage, prints a table and writes the measurements that have a goal to --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the measurements that have a goal here")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of torch")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement; the median is told")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    subject = gpt2_small()
    found: list[Measurement] = [
        *eap_rows(subject, repeats=arguments.repeats),
        *propagation_rows(subject, repeats=arguments.repeats),
    ]
    print(table(found))
    if arguments.json:
        write_json(found, arguments.json)


if __name__ == "__main__":
    main()
