"""Records an event beside its document, in the document's own transaction.

So a commit keeps both and a rollback, whole or to a savepoint, drops both. Nothing here talks to hookmill, commits, or
keeps a list of its own.
"""

from __future__ import annotations

import uuid
from typing import Any

import frappe

from hookmill_frappe import clock, event, outbox, settings, wake

# Bytes of an event that are kept. Twice what hookmill takes, and far below the largest statement that MariaDB takes by
# default: a document that hookmill would refuse must not be refused by the database because of its event.
PAYLOAD_BYTES_MAX = 4 * 1024 * 1024

# Its events tell how the document was before.
_WITH_BEFORE = ("on_update", "on_submit", "on_cancel", "on_update_after_submit", "on_change")


def on_doc_event(doc: Any, method: str, *args: Any, **kwargs: Any) -> None:
    """Records what Frappe calls `method` on a document, if the settings want it."""
    if method == "on_change" and doc.flags.in_insert:
        # As in Frappe: what has just come into being has not changed.
        return
    meta = {}
    if method == "after_rename" and args:
        meta = {"old_name": str(args[0]), "merged": "true" if len(args) > 2 and args[2] else "false"}
    _capture(doc, method, meta)


def workflow_transition(doc: Any) -> None:
    """Records a transition; a task of a Workflow in Frappe 16 and newer, to be run synchronously.

    Frappe runs it before it saves the document, in the same transaction: a transition that fails leaves no event.
    """
    _capture(doc, "workflow_transition", {})


def _capture(doc: Any, doc_event: str, meta: dict[str, str]) -> None:
    config = settings.cached()
    if config is None or not settings.wants(config, doc.doctype, doc_event):
        return
    event_id = str(uuid.uuid4())
    occurred_at = clock.rfc3339(clock.next_moment())
    row = {
        "event_id": event_id,
        "occurred_at": occurred_at,
        "reference_doctype": doc.doctype,
        "reference_name": str(doc.name),
        "doc_event": doc_event,
    }
    try:
        payload = event.line(
            event_id=event_id,
            doc=doc,
            doc_event=doc_event,
            before=doc.get_doc_before_save() if config.include_before and doc_event in _WITH_BEFORE else None,
            occurred_at=occurred_at,
            user=frappe.session.user,
            meta={"site": frappe.local.site, **meta},
        )
        size = len(payload.encode())
        if size <= PAYLOAD_BYTES_MAX:
            row["payload"] = payload
        else:
            too_large = (
                f"The event has {size} bytes. At most {PAYLOAD_BYTES_MAX} are kept; hookmill takes 1 MiB a document."
            )
            row.update(status="Failed", error_code="too_large", error=too_large)
    except Exception as error:
        # A computed field may ask the database. After a deadlock that has taken back what the save did before: to go on
        # would commit half of it.
        if error.args and frappe.db.is_deadlocked(error):
            raise
        # Else, a document that can't be written as JSON is no reason to refuse its save, and none to forget the event.
        row.update(status="Failed", error_code="not_serialised", error=frappe.get_traceback())
    # Nothing of this is caught. It is the database that the document goes into: what keeps the row out keeps the
    # document out, and for a deadlock the same holds as above.
    outbox.add(row)
    wake.after_commit()
