"""Trace files and prompt files, in a folder or an object store."""
