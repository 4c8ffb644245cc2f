"""How what is ours stands in a graph: calls that the passes and the lowering know."""
