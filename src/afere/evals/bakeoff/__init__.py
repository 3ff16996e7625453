"""Bake-offs and sweeps: the same cases over several models, parameters or prompts, their record, and what it recommends."""
