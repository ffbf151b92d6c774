"""What can be patched."""

from enum import StrEnum


class PatchSite(StrEnum):
    """What can be patched. Heads are their mixed values, so that a norm behind attention acts on what was patched."""

    HEADS = "heads"
    MLPS = "mlps"
    RESIDUAL = "residual"  # before the block
    RESIDUAL_MID = "residual-mid"  # between attention and MLP
    RESIDUAL_POST = "residual-post"  # after the block
    QUERIES = "queries"
    KEYS = "keys"
    VALUES = "values"
    PATTERNS = "patterns"

    @property
    def by_head(self) -> bool:
        """Returns whether every head has its own."""
        return self.kind in ("head", "query", "key", "value", "pattern")

    @property
    def kind(self) -> str:
        """Returns the word for one of them, as the database has it."""
        return self.removesuffix("s").partition("-")[0] if self != PatchSite.QUERIES else "query"

    @property
    def suffix(self) -> str:
        """Returns what stands behind the layer and head in a name."""
        return _SUFFIXES.get(self, "")


_SUFFIXES = {
    PatchSite.RESIDUAL: "<pre>",
    PatchSite.RESIDUAL_MID: "<mid>",
    PatchSite.RESIDUAL_POST: "<post>",
    PatchSite.QUERIES: "<q>",
    PatchSite.KEYS: "<k>",
    PatchSite.VALUES: "<v>",
    PatchSite.PATTERNS: "<pattern>",
}
