"""The places that are patched: which values, of which layers, head and position."""

from collections.abc import Sequence
from dataclasses import dataclass

from circuitbase.errors import InputError
from circuitbase.tracing.components.component_model import ComponentModel
from circuitbase.tracing.components.running import Site
from circuitbase.tracing.patching.patch_site import PatchSite

_SITES = {
    PatchSite.HEADS: Site.MIXED,
    PatchSite.MLPS: Site.MLP,
    PatchSite.RESIDUAL: Site.RESID_PRE,
    PatchSite.RESIDUAL_MID: Site.RESID_MID,
    PatchSite.RESIDUAL_POST: Site.RESID_POST,
    PatchSite.QUERIES: Site.QUERY,
    PatchSite.KEYS: Site.KEY,
    PatchSite.VALUES: Site.VALUE,
    PatchSite.PATTERNS: Site.PATTERN,
}


@dataclass(frozen=True)
class Place:
    """Values that are patched together: of `layers` layers from `layer` on, of a head or all, at a position or all.

    The position of a pattern is that of its query.
    """

    site: PatchSite
    layer: int
    head: int | None = None
    position: int | None = None
    layers: int = 1

    @property
    def at(self) -> Site:
        """Returns where in a forward pass it is."""
        return _SITES[self.site]

    @property
    def last_layer(self) -> int:
        """Returns the last layer that is patched."""
        return self.layer + self.layers - 1

    @property
    def name(self) -> str:
        """Returns a name such as `a1.h0`, `m2@5`, `a0.h3<q>` or, of several layers, `r2-4<pre>`."""
        layer = str(self.layer) if self.layers == 1 else f"{self.layer}-{self.last_layer}"
        head = "" if self.head is None else f".h{self.head}"
        letter = "a" if self.site.by_head else self.site[0]
        name = f"{letter}{layer}{head}{self.site.suffix}"
        return name if self.position is None else f"{name}@{self.position}"


def places(
    model: ComponentModel,
    site: PatchSite,
    *,
    positions: Sequence[int] | None = None,
    window: int = 1,
) -> tuple[Place, ...]:
    """Returns the places of a site, layer by layer; at each of the positions, or at all at once.

    A window of more than one layer slides over the layers; heads of different layers have nothing in common but
    their number, so a window patches all of its heads together. Raises InputError for a window that the model has
    not the layers for and for a site that it does not have.
    """
    if not 1 <= window <= model.n_layers:
        raise InputError(f"the window must be 1 to {model.n_layers}, the layers of the model, got {window}")
    if site == PatchSite.RESIDUAL_MID and model.parallel:
        raise InputError(
            "in this model attention and MLP of a block read the same stream, so there is no residual-mid; "
            "patch residual or residual-post"
        )
    heads = range(model.n_heads) if site.by_head and window == 1 else (None,)
    return tuple(
        Place(site, layer, head, position, window)
        for layer in range(model.n_layers - window + 1)
        for head in heads
        for position in (positions if positions is not None else (None,))
    )
