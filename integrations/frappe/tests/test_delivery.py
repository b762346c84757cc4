"""From a document to a receiver: the app, a hookmill process and a receiver, all real but Frappe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import frappe

from tests.support import DEADLINE, HookmillCase, note, order

_APP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Drains a site in a process of its own, which dies between hookmill's answer and the deletion of the rows.
_CRASH = """
import os, signal, sys
import tests.support as support
support.open_site(sys.argv[1])
from hookmill_frappe import drain, outbox
outbox.remove = lambda event_ids: os.kill(os.getpid(), signal.SIGKILL)
drain.drain()
"""

# Holds the lock of a drain until it is killed.
_HOLD = """
import sys
import tests.support as support
support.open_site(sys.argv[1])
from hookmill_frappe import lock
with lock.only_one() as held:
    print("held" if held else "not held", flush=True)
    sys.stdin.read()
"""


class Delivery(HookmillCase):
    def test_a_saved_document_reaches_the_receiver_once(self) -> None:
        self.hookmill.webhook("Note", "on_update", self.receiver)
        note("N-1", content="<b>Ünï</b>").insert()
        frappe.db.commit()
        self.assertEqual(frappe.run_jobs(), 1)
        self.assertEqual(frappe.run_jobs(), 0)
        documents = self.received(1)
        self.assertEqual([(doc["name"], doc["content"]) for doc in documents], [("N-1", "<b>Ünï</b>")])
        self.assertEqual(self.outbox(), [])

    def test_a_rollback_sends_nothing(self) -> None:
        self.hookmill.webhook("Note", "on_update", self.receiver)
        note("gone").insert()
        frappe.db.rollback()
        note("kept").insert()
        frappe.db.commit()
        frappe.run_jobs()
        self.assertEqual([doc["name"] for doc in self.received(1)], ["kept"])
        self.assertEqual(len(self.hookmill.deliveries()), 1)

    def test_hookmill_records_all_that_the_envelope_says(self) -> None:
        self.hookmill.webhook("Note", "on_change", self.receiver)
        frappe.session.user = "ana@example.com"
        doc = note("N-1").insert()
        doc.title = "new"
        doc.save()
        frappe.db.commit()
        sent = self.outbox(doc_event="on_change")[0].event
        frappe.run_jobs()
        self.received(1)
        event = self.hookmill.deliveries()[0]["event"]
        for key in ("id", "doctype", "doc_event", "doc", "before", "user", "meta"):
            self.assertEqual(event[key], sent[key], key)
        self.assertEqual(event["occurred_at"].rstrip("Z").ljust(26, "0"), sent["occurred_at"].rstrip("Z"))

    def test_while_hookmill_is_down_the_outbox_keeps_all_and_then_sends_each_once_in_order(self) -> None:
        self.hookmill.webhook("Note", "on_update", self.receiver, ordering="document")
        doc = note("N-1").insert()
        frappe.db.commit()
        self.hookmill.stop()
        frappe.run_jobs()
        for number in range(1, 6):
            doc.title = str(number)
            doc.save()
            frappe.db.commit()
            frappe.run_jobs()
        self.assertEqual(len(self.outbox(status="Pending")), 12)
        self.assertIn("can't be reached", self.settings().last_error)

        self.hookmill.start()
        self.clock_moves(3600)
        frappe.get_attr("hookmill_frappe.drain.drain")()
        self.assertEqual([doc["title"] for doc in self.received(6)], ["N-1", "1", "2", "3", "4", "5"])
        self.assertEqual(len(self.receiver.requests), 6)
        self.assertEqual((self.outbox(), self.settings().last_error, self.settings().next_try_at), ([], "", ""))

    def test_a_crash_between_answer_and_deletion_sends_nothing_twice(self) -> None:
        self.hookmill.webhook("Note", "on_update", self.receiver)
        for number in range(3):
            note(f"N-{number}").insert()
        frappe.db.commit()
        crashed = subprocess.run(
            [sys.executable, "-c", _CRASH, self.folder], env=os.environ, cwd=_APP, timeout=DEADLINE, check=False
        )
        self.assertEqual(crashed.returncode, -signal.SIGKILL)
        self.receiver.wait_for(3)
        self.assertEqual(len(self.outbox()), 6, "the rows are still there")

        frappe.run_jobs()
        self.assertEqual(self.outbox(), [])
        self.assertEqual(sorted(doc["name"] for doc in self.received(3)), ["N-0", "N-1", "N-2"])
        self.assertEqual(len(self.hookmill.deliveries()), 3)

    def test_an_event_that_hookmill_refuses_is_set_aside_and_the_others_go_on(self) -> None:
        self.hookmill.webhook("Note", "on_update", self.receiver)
        note("N-1").insert()
        note("too-large", content="x" * 1_100_000).insert()
        note("N-2").insert()
        frappe.db.commit()
        self.configure(url=self.hookmill.url, batch_kb=16000)
        frappe.get_attr("hookmill_frappe.drain.drain")()
        self.assertEqual(sorted(doc["name"] for doc in self.received(2)), ["N-1", "N-2"])
        left = self.outbox()
        self.assertEqual(
            [(row.reference_name, row.status, row.error_code) for row in left],
            [
                ("too-large", "Failed", "event_doc_too_large"),
                ("too-large", "Failed", "event_doc_too_large"),
            ],
        )
        self.assertIn("1048576", left[0].error)

    def test_a_failed_event_goes_again_when_a_person_says_so(self) -> None:
        self.hookmill.webhook("Note", "after_insert", self.receiver)
        note("N-1").insert()
        frappe.db.commit()
        row = self.outbox(doc_event="after_insert")[0]
        frappe.db.set_value("Hookmill Outbox", row.name, {"status": "Failed"})
        frappe.db.commit()
        frappe.run_jobs()
        self.assertEqual(len(self.outbox()), 1)
        doc = frappe.get_doc("Hookmill Outbox", row.name)
        doc.status = "Pending"
        doc.save()
        frappe.db.commit()
        self.assertEqual(frappe.run_jobs(), 1)
        self.assertEqual([doc["name"] for doc in self.received(1)], ["N-1"])

    def test_a_wrong_token_loses_nothing_and_says_so(self) -> None:
        self.configure(url=self.hookmill.url, token="not the token of it")
        note("N-1").insert()
        frappe.db.commit()
        frappe.run_jobs()
        self.assertEqual(len(self.outbox(status="Pending")), 2)
        self.assertIn("401 unauthorized", self.settings().last_error)

        self.configure(url=self.hookmill.url)
        self.assertEqual(self.settings().last_error, "")
        frappe.get_attr("hookmill_frappe.drain.drain")()
        self.assertEqual(self.outbox(), [])

    def test_the_token_of_site_config_wins(self) -> None:
        self.configure(url=self.hookmill.url, token="not the token of it")
        self.site.conf["hookmill_token"] = "a token for tests only"
        note("N-1").insert()
        frappe.db.commit()
        frappe.run_jobs()
        self.assertEqual(self.outbox(), [])

    def test_what_is_too_large_for_hookmill_goes_in_parts(self) -> None:
        self.hookmill.webhook("Note", "on_update", self.receiver)
        self.configure(url=self.hookmill.url, batch_kb=100_000, event_after_insert=0)
        for number in range(20):
            note(f"N-{number}", content="x" * 1_000_000).insert()
        frappe.db.commit()
        frappe.run_jobs()
        self.assertEqual(self.outbox(), [])
        self.assertEqual(len({doc["name"] for doc in self.received(20)}), 20)

    def test_child_rows_travel_with_their_document(self) -> None:
        self.hookmill.webhook("Sales Order", "on_submit", self.receiver)
        doc = order("SO-1", items=[{"item_code": "A", "qty": 1.5}, {"item_code": "B", "qty": 2.0}]).insert()
        doc.submit()
        frappe.db.commit()
        frappe.run_jobs()
        sent = self.received(1)[0]
        self.assertEqual(sent["docstatus"], 1)
        self.assertEqual([(row["item_code"], row["qty"]) for row in sent["items"]], [("A", 1.5), ("B", 2.0)])

    def test_two_processes_drain_after_one_another(self) -> None:
        note("N-1").insert()
        frappe.db.commit()
        held = subprocess.Popen(
            [sys.executable, "-c", _HOLD, self.folder],
            cwd=_APP,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(held.communicate, timeout=DEADLINE)
        self.assertEqual(held.stdout.readline(), "held\n")
        frappe.run_jobs()
        self.assertEqual(len(self.outbox()), 2)
        held.kill()
        held.wait(DEADLINE)
        frappe.get_attr("hookmill_frappe.drain.drain")()
        self.assertEqual(self.outbox(), [], "the lock went with its process")
