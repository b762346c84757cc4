"""Sends what waits in the outbox, oldest first, until nothing waits or hookmill can't take it."""

from __future__ import annotations

import time
from typing import Any

import frappe

from hookmill_frappe import client, lock, outbox, settings

# Below the 300 s that a job of the default queue may take: a job that ends by itself leaves nothing half done.
_BUDGET_SECONDS = 200.0


def drain() -> None:
    """Runs as a background job: woken by a commit, and with every tick of the scheduler."""
    with lock.only_one() as held:
        if not held:
            return
        # Ends the transaction that the job began with. MariaDB would go on showing the table as it was then.
        frappe.db.commit()
        config = frappe.get_single(settings.DOCTYPE)
        if not config.enabled or settings.is_backing_off(config):
            return
        _send_all(config)


def _send_all(config: Any) -> None:
    """Sends batch after batch; what is left when the time is over goes out with the next tick."""
    connection = settings.connection(config)
    if not connection.token:
        settings.record_trouble(config, "There is no token that can be read. Give it again.", None)
        frappe.db.commit()
        return
    max_rows = connection.batch_rows
    until = time.monotonic() + _BUDGET_SECONDS
    while time.monotonic() < until:
        rows = outbox.next_batch(max_rows, connection.batch_bytes)
        # No transaction is open while the network is waited for.
        frappe.db.commit()
        if not rows:
            return
        answer = client.send(connection, rows)
        if answer.too_large and len(rows) > 1:
            max_rows = len(rows) // 2
            continue
        if answer.too_large:
            # Alone in its request, and still too much for hookmill or a proxy: no later try will change that.
            answer = client.Answer(refused=[outbox.Refusal(rows[0].event_id, "too_large", answer.trouble or "")])
        _settle(config, answer)
        if answer.trouble:
            return


def _settle(config: Any, answer: client.Answer) -> None:
    """Writes down what became of a batch. A crash before its commit sends the same events, by the same ids, again."""
    outbox.remove(answer.acknowledged)
    outbox.fail(answer.refused)
    if answer.trouble:
        settings.record_trouble(config, answer.trouble, answer.retry_after)
    else:
        settings.record_success(config)
    frappe.db.commit()
