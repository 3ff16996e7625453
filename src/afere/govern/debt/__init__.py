"""The debt audit: what a project owes, by kinds of debt, with evidence, cost and the next action."""

from afere.govern.debt.audit import Audit, Debt, audit
from afere.govern.debt.finding import Finding
from afere.govern.debt.trend import Trend, Week, trend

__all__ = ["Audit", "Debt", "Finding", "Trend", "Week", "audit", "trend"]
