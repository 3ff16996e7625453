"""Spans at rest, in their own file `spans.db`: `store.SpanStore` is the way in.

`write` (with `rows`, `chunks`, `dictionary`, `docs`, `labels`, `ties`, `rollup`) keeps them; `filter`, `listing`, `scan`, `stats` and
`sums` ask; `keep` and `archive` let go of what is old; `wire` is how they travel to a server.
"""
