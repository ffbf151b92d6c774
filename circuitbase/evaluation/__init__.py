"""Ground truth: small models whose circuits are known, and how well methods find them."""
