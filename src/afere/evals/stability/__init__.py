"""Stability: how often an answer changes where only the surface of its input did; the record of a run, and rules about it."""
