"""A trained graph in, Relax out."""
