"""Runs what takes `context` or `children` once for every start method."""

from tests.contexts import children, context

__all__ = ["children", "context"]
