"""Where in its block a dictionary reads."""

from enum import Enum


class ReadPoint(Enum):
    """The residual stream between attention and MLP, or the MLP's norm before or after its weight and bias."""

    RESIDUAL = "hook_resid_mid"
    NORMALIZED = "ln2.hook_normalized"
    NORM_OUTPUT = "mlp.hook_in"
