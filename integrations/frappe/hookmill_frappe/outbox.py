"""The table of events that hookmill has not acknowledged yet: the only place that knows its columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import frappe

DOCTYPE = "Hookmill Outbox"


@dataclass(frozen=True)
class Row:
    """An event that waits: its id and its line of JSON."""

    event_id: str
    payload: str


@dataclass(frozen=True)
class Refusal:
    """What hookmill said of an event that it will not take, however often it is sent."""

    event_id: str
    code: str
    detail: str


def add(values: dict[str, Any]) -> None:
    """Inserts a row into the transaction that is open."""
    size = len(values.get("payload", "").encode())
    row = frappe.get_doc({"doctype": DOCTYPE, "name": values["event_id"], "status": "Pending", "size": size, **values})
    # Not `insert`: this is inside another document's save, and needs none of what other apps do to new documents.
    row.db_insert()


def next_batch(max_rows: int, max_bytes: int) -> list[Row]:
    """Returns the oldest events that wait, in order; at least one, whatever its size, if there is any."""
    waiting = frappe.get_all(
        DOCTYPE,
        filters={"status": "Pending"},
        fields=["name", "size"],
        order_by="occurred_at asc",
        limit=max_rows,
    )
    names: list[str] = []
    total = 0
    for row in waiting:
        total += row.size + 1
        if names and total > max_bytes:
            break
        names.append(row.name)
    if not names:
        return []
    # Only now the payloads: a batch of large documents must not fill the memory before it is cut.
    rows = frappe.get_all(
        DOCTYPE, filters={"name": ("in", names)}, fields=["name", "payload"], order_by="occurred_at asc"
    )
    return [Row(row.name, row.payload) for row in rows]


def remove(event_ids: Iterable[str]) -> None:
    """Deletes what hookmill has acknowledged.

    One by one: for a list MariaDB reads a small table from end to end, and locks every row and gap that it passes. A save
    that has one event in the table already and adds another is then the one that the deadlock takes back.
    """
    for name in event_ids:
        frappe.db.delete(DOCTYPE, {"name": name})


def fail(refusals: Iterable[Refusal]) -> None:
    """Sets aside what hookmill refuses, for a person to see; it is not sent again by itself."""
    for refusal in refusals:
        values = {"status": "Failed", "error_code": refusal.code, "error": refusal.detail}
        frappe.db.set_value(DOCTYPE, refusal.event_id, values)
