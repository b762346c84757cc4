"""Has the outbox drained as soon as the transaction that filled it is committed.

Nothing depends on it: what is not woken here goes out with the scheduler's next tick.
"""

from __future__ import annotations

import frappe

from hookmill_frappe import settings

JOB = "hookmill_frappe.drain.drain"
JOB_ID = "hookmill_drain"


def after_commit() -> None:
    """Asks for one drain after the commit, however many events the transaction has."""
    if not hasattr(frappe.db, "after_commit"):
        # Older than Frappe 15: only the scheduler is left.
        return
    if getattr(frappe.local, "hookmill_wake", False):
        return
    frappe.local.hookmill_wake = True
    frappe.db.after_commit.add(now)
    # A rollback drops the callback above. If the mark stayed, no later event of this request would wake anything.
    frappe.db.after_rollback.add(_forget)


def now() -> None:
    """Enqueues a drain unless one is queued or running."""
    _forget()
    config = settings.cached()
    if config is None or settings.is_backing_off(config):
        return
    try:
        frappe.enqueue(JOB, queue="default", job_id=JOB_ID, deduplicate=True)
    except Exception:
        # The document is committed: its user must not be told otherwise because the queue is out of reach.
        frappe.logger("hookmill").warning("no drain can be enqueued; the scheduler will run one", exc_info=True)


def _forget() -> None:
    frappe.local.hookmill_wake = False
