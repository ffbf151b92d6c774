"""From the graphs of single prompts to what recurs over many: rollups, circuits, contrasts, Cypher.

Functions take a Neo4j driver; nothing here imports torch.
"""
