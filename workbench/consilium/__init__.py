"""Consilium: which roles a task needs, what tools, and whether one answer is enough."""
