"""Where in its block a dictionary reads and writes, by the names that TransformerLens and circuit-tracer use.

What each denotes in a Hugging Face module differs by architecture (formats.md, hook names); `parts` says where
the parts are, and `run` and `frozen` say what these points are of them.
"""

from enum import Enum


class Hook(Enum):
    """A tensor of a block, [position, d_model] (`HEAD_VALUES`: [position, head · d_head]).

    What a part writes is what it adds to the residual stream, behind its norm after if it has one;
    its output is what its module returns, before that norm. Without such a norm they are the same.
    """

    RESIDUAL_MID = "hook_resid_mid"
    MLP_NORMALIZED = "ln2.hook_normalized"  # the norm before its weight and bias
    MLP_INPUT = "mlp.hook_in"
    MLP_OUTPUT = "mlp.hook_out"
    MLP_WRITE = "hook_mlp_out"
    HEAD_VALUES = "attn.hook_z"
    ATTENTION_OUTPUT = "attn.hook_out"
    ATTENTION_WRITE = "hook_attn_out"


# A transcoder reads one of the first and writes one of the second; an SAE reads what it writes.
READS_BEFORE_MLP = (Hook.RESIDUAL_MID, Hook.MLP_NORMALIZED, Hook.MLP_INPUT)
WRITES_OF_MLP = (Hook.MLP_OUTPUT, Hook.MLP_WRITE)
WRITES_OF_ATTENTION = (Hook.HEAD_VALUES, Hook.ATTENTION_OUTPUT, Hook.ATTENTION_WRITE)
