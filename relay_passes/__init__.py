"""Graph passes over Relax, one a file; `pipeline.py` is their table of contents."""
