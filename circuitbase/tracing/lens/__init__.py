"""First looks at a model on a prompt: what it would say at each layer, who wrote the logits, where heads look."""
