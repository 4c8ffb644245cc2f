"""A request: its memory, its routes, its answer."""
