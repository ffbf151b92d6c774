"""Attribution graphs of other tools: their files in, and traces out as theirs."""
