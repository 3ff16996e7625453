"""The debt audit: what a project owes, by five kinds of debt, with evidence, cost and the next action."""

from afere.govern.debt.audit import Audit, Debt, audit
from afere.govern.debt.finding import Finding

__all__ = ["Audit", "Debt", "Finding", "audit"]
