"""Structural motifs: anonymous small shapes in a trace's graph, counted, listed, and compared with chance."""
