"""Lists of records of one sort, among reports of others."""

from __future__ import annotations

from pathlib import Path

import afere.store
from afere.evals.records import records


def test_a_page_of_one_sort_is_full_whatever_stands_between(tmp_path: Path) -> None:
    with afere.store.open(tmp_path / "s", project="p") as session:
        for number in range(12):
            session.put("report", None, {"report": "bakeoff" if number % 4 == 0 else "blame", "of": number})
        session.put("report", None, {"text": "a summary that somebody wrote"})
        first = records(session, "bakeoff", limit=2)
        assert [one.content["of"] for one in first.items] == [8, 4]  # type: ignore[index]
        last = records(session, "bakeoff", limit=2, cursor=first.next)
        assert [one.content["of"] for one in last.items] == [0]  # type: ignore[index]
        assert last.next is None
        assert len(records(session, "blame", limit=50).items) == 9
        assert records(session, "stability", limit=50).items == ()
