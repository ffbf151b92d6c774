"""circuitbase: a database of circuits.

Traces what a transformer language model computes on each prompt, stores every attribution graph in
Neo4j keyed on the identity of the model's parts, and answers over many prompts at once.
"""

from importlib.metadata import version

__version__ = version("circuitbase")
