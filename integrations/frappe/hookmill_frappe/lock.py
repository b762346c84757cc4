"""Keeps two drains of one site from running at once.

It guards order, not safety: two drains would send the same events twice, which hookmill knows by their ids. A lock of
the operating system goes with its process, whatever becomes of that, and needs no transaction to be held open.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import frappe


@contextmanager
def only_one() -> Iterator[bool]:
    """Gives True to the one that may go on, False to any other meanwhile."""
    folder = frappe.get_site_path("locks")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "hookmill_drain.lock"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
