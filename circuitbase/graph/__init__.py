"""The attribution graph as columns, and everything computed from one or many graphs in memory."""
