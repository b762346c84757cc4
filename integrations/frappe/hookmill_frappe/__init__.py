"""Hands every event of the chosen DocTypes to hookmill: recorded with the document, sent after its commit."""

__version__ = "0.1.0"
