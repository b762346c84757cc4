"""An event as hookmill takes it: one line of JSON, made from a document at the moment of the event."""

from __future__ import annotations

import json
import math
from typing import Any

import frappe

# What stands in place of a password. Frappe's own asterisks tell its length.
MASK = "********"

# The form's own notes, which are on the document while it is being saved. What Frappe's webhooks send is taken after
# the commit, when they are gone.
_FORM_STATE = ("__islocal", "__unsaved", "__onload", "__run_link_triggers")


def line(
    *, event_id: str, doc: Any, doc_event: str, before: Any, occurred_at: str, user: str | None, meta: dict[str, str]
) -> str:
    """Writes the event as JSON in one line. What happens to the document later does not reach it."""
    return _dump(
        {
            "id": event_id,
            "doctype": doc.doctype,
            "doc_event": doc_event,
            "doc": document(doc),
            "before": document(before) if before is not None else None,
            "occurred_at": occurred_at,
            "user": user,
            "meta": meta,
        }
    )


def document(doc: Any) -> dict[str, Any]:
    """Returns the document as Frappe's webhooks send it, without passwords and the form's notes."""
    data = doc.as_dict(convert_dates_to_str=True)
    for key in _FORM_STATE:
        data.pop(key, None)
    _mask_passwords(data)
    for value in data.values():
        for row in value if isinstance(value, list) else ():
            if isinstance(row, dict) and row.get("doctype"):
                _mask_passwords(row)
    return data


def _mask_passwords(data: dict[str, Any]) -> None:
    for field in frappe.get_meta(data["doctype"]).fields:
        if field.fieldtype == "Password" and data.get(field.fieldname):
            data[field.fieldname] = MASK


def _dump(value: Any) -> str:
    try:
        text = _json(value)
    except ValueError:
        # JSON has no word for NaN and infinity, and no database that Frappe runs on stores them.
        text = _json(_finite(value))
    # Half of a surrogate pair is no text that could be stored.
    return text.encode("utf-8", "replace").decode("utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
