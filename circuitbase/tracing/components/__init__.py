"""The model by its own parts: heads with their query, key and value inputs, MLPs, neurons; nothing frozen."""
