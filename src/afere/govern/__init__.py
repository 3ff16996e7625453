"""Govern: where things come from and go to, and what a project owes."""
