"""Readers of dictionaries as other tools write them: one file per format, none of which loads weights.

A reader says what a folder holds (`stored.StoredDictionary`): which tensor of which file is which of ours, and what
the format does besides. `bringing` makes of that, with torch, the one form that is traced.
"""
