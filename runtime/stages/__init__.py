"""Stages of a module: what runs them, and what they give."""
