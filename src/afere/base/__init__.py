"""Values and pure functions that every other package speaks: no network, no database.

The one file access here is `project`, which finds and reads the user's `afere.yaml`.
"""
