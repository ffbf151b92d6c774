"""A model's transcoders as a folder in circuit-tracer's transcoder-set format.

`config.yaml` and one `layer_{i}.safetensors` per layer with `W_enc [F, d]`, `W_dec [F, d]`, `b_enc`, `b_dec` and
`activation_function.threshold`. A TopK set has no thresholds and names its `k` in the configuration.
"""

from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save_file

from circuitbase.errors import ModelError
from circuitbase.training.transcoder import Transcoder

READS, WRITES = "mlp.hook_in", "mlp.hook_out"
THRESHOLD = "activation_function.threshold"


def save_transcoder_set(
    transcoders: list[Transcoder], folder: Path, *, model_name: str, top_k: int | None = None
) -> None:
    """Writes one file per layer; with `top_k` the thresholds are left out and the set is a TopK one."""
    folder.mkdir(parents=True, exist_ok=True)
    config: dict[str, str | int] = {
        "model_name": model_name,
        "model_kind": "transcoder_set",
        "feature_input_hook": READS,
        "feature_output_hook": WRITES,
    }
    if top_k is not None:
        config |= {"activation": "topk", "k": top_k}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    for layer, transcoder in enumerate(transcoders):
        arrays = {name: getattr(transcoder, name).contiguous() for name in ("W_enc", "W_dec", "b_enc", "b_dec")}
        if top_k is None:
            arrays[THRESHOLD] = transcoder.threshold.contiguous()
        save_file(arrays, folder / f"layer_{layer}.safetensors")


def load_transcoder_set(folder: Path) -> list[Transcoder]:
    """Returns the JumpReLU transcoders of a folder, layer by layer."""
    transcoders: list[Transcoder] = []
    while (path := folder / f"layer_{len(transcoders)}.safetensors").exists():
        arrays = load_file(path)
        if THRESHOLD not in arrays:
            raise ModelError(
                f"{path} should hold {THRESHOLD} but holds {', '.join(sorted(arrays))}; "
                "only JumpReLU sets, as circuitbase trains them, can be scored"
            )
        names = ("W_enc", "W_dec", "b_enc", "b_dec", THRESHOLD)
        transcoders.append(Transcoder(*(arrays[name].to(torch.float32) for name in names)))
    if not transcoders:
        raise ModelError(f"{folder} should hold layer_0.safetensors but does not; give the folder of a transcoder set")
    return transcoders
