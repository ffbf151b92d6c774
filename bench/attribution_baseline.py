"""Traces one prompt with circuit-tracer and says what it took; runs in circuit-tracer's own environment.

`python attribution_baseline.py REQUEST`, where REQUEST is a JSON file: `model`, `transcoders`, `token_ids`,
`batch_size`, `threads`, `profile`, `graph` (where to keep the graph, or null) and `out`.
Imports nothing of circuitbase but the meter, which needs the standard library alone.
"""

import cProfile
import json
import pstats
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from bench.attribution_meter import Meter

SHOWN = 15  # functions of a profile


def main() -> None:
    """Traces what the request asks for and writes the numbers to its `out`."""
    request = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(request["threads"])
    torch.manual_seed(0)
    with Meter() as loading:
        model = loaded(request["model"], request["transcoders"])
    from circuit_tracer.attribution.attribute import attribute
    from circuit_tracer.graph import compute_graph_scores, prune_graph

    tokens = torch.tensor(request["token_ids"])
    profile = cProfile.Profile(time.process_time)
    with Meter() as tracing:
        if request["profile"]:
            profile.enable()
        graph = attribute(tokens, model, batch_size=request["batch_size"], max_feature_nodes=None)
        profile.disable()
    nodes, edges = (
        len(graph.adjacency_matrix),
        [int(rows.count_nonzero()) for rows in graph.adjacency_matrix.split(512)],
    )
    if request["graph"]:
        _save(graph, Path(request["graph"]))
    with Meter() as pruning:
        pruned = prune_graph(graph)
    with Meter() as scoring:
        scores = compute_graph_scores(graph)
    found = {
        "loading": loading.taken,
        "tracing": tracing.taken,
        "pruning": pruning.taken,
        "scoring": scoring.taken,
        "active": len(graph.active_features),
        "nodes": nodes,
        "edges": sum(edges),
        "scores": scores,
        "kept_nodes": int(pruned.node_mask.sum()),
        "kept_edges": int(pruned.edge_mask.sum()),
        "profile": hottest(profile) if request["profile"] else [],
    }
    Path(request["out"]).write_text(json.dumps(found))


def hottest(profile: cProfile.Profile) -> list[str]:
    """Returns a line, in processor seconds, for each function that took longest by itself."""
    statistics: Any = pstats.Stats(profile)
    rows = [
        (own, cumulative, calls, f"{Path(file).stem}.{name}")
        for (file, _, name), (_, calls, own, cumulative, _) in statistics.stats.items()
    ]
    return [
        f"{name:<62}{own:8.2f} s of its own, {cumulative:8.2f} s, {calls:7} calls"
        for own, cumulative, calls, name in sorted(rows, reverse=True)[:SHOWN]
    ]


@torch.no_grad()
def loaded(model: str, transcoders: str) -> Any:
    """Returns circuit-tracer's model of a local GPT-2 folder and transcoder folder.

    Its own loader knows models by their name on the hub, and asks the hub for them; so the model is made from
    a configuration, filled by TransformerLens' conversion, and then configured as the loader does it. Encoders
    are kept in memory and decoders read when needed, which are the defaults of its loader.
    """
    from circuit_tracer.replacement_model.replacement_model_transformerlens import TransformerLensReplacementModel
    from circuit_tracer.transcoder.single_layer_transcoder import load_transcoder_set
    from transformer_lens import HookedTransformerConfig
    from transformer_lens.pretrained.weight_conversions import convert_gpt2_weights
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    module = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32, attn_implementation="eager").eval()
    config = HookedTransformerConfig(
        model_name="gpt2",
        n_layers=module.config.n_layer,
        d_model=module.config.n_embd,
        n_heads=module.config.n_head,
        d_head=module.config.n_embd // module.config.n_head,
        d_mlp=4 * module.config.n_embd,
        n_ctx=module.config.n_positions,
        d_vocab=module.config.vocab_size,
        eps=module.config.layer_norm_epsilon,
        act_fn="gelu_new",
        normalization_type="LN",
        positional_embedding_type="standard",
        default_prepend_bos=False,
        device="cpu",
        dtype=torch.float32,
    )
    weights = convert_gpt2_weights(module, config)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=f"{model}/tokenizer.json", bos_token="<bos>", eos_token="<bos>", pad_token="<bos>"
    )
    found = TransformerLensReplacementModel(config, move_to_device=False)
    found.tokenizer = tokenizer  # given to the constructor, it would be fetched again by name
    found.load_and_process_state_dict(
        weights, fold_ln=False, center_writing_weights=False, center_unembed=False, fold_value_biases=False
    )
    del module, weights
    found.set_use_attn_result(False)
    files = {layer: f"{transcoders}/layer_{layer}.safetensors" for layer in range(config.n_layers)}
    found._configure_replacement_model(
        load_transcoder_set(
            files,
            scan="random",
            feature_input_hook="mlp.hook_in",
            feature_output_hook="mlp.hook_out",
            device=torch.device("cpu"),
            lazy_encoder=False,
            lazy_decoder=True,
        )
    )
    return found


def _save(graph: Any, path: Path) -> None:
    """Keeps what a comparison needs: rows are targets, columns sources, features, errors, tokens, logits."""
    torch.save(
        {
            "adjacency": graph.adjacency_matrix,
            "active_features": graph.active_features,
            "activations": graph.activation_values,
            "selected": graph.selected_features,
            "tokens": graph.input_tokens,
            "logits": graph.logit_token_ids,
            "probabilities": graph.logit_probabilities,
            "n_layers": graph.cfg.n_layers,
        },
        path,
    )


if __name__ == "__main__":
    main()
