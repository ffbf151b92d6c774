"""Training and scoring dictionaries on a model's activations."""
