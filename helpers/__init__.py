"""Helpers of the course on induction heads: everything its notebooks import."""

__version__ = "1.0.0"
