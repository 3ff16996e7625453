"""The one way to keep anything: artifacts, aliases, scores, jobs, blobs and spans, in a folder, with an audit log."""

from __future__ import annotations

from afere.store.audit import AuditLine, Change
from afere.store.jobs import Job
from afere.store.lineage import Edge, Reached
from afere.store.page import Page
from afere.store.session import Session, open

__all__ = ["AuditLine", "Change", "Edge", "Job", "Page", "Reached", "Session", "open"]
