"""What is recorded, and when: no hookmill is needed to see it."""

from __future__ import annotations

import datetime
import sqlite3
from unittest import mock

import frappe

from tests.support import SiteCase, note, order


class Transactions(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure()

    def test_a_commit_keeps_the_event_beside_the_document(self) -> None:
        note("N-1").insert()
        frappe.db.commit()
        with frappe.new_process():
            self.assertEqual(self.events(), [("after_insert", "N-1"), ("on_update", "N-1")])

    def test_a_rollback_drops_document_and_event(self) -> None:
        note("N-1").insert()
        frappe.db.rollback()
        self.assertEqual(self.events(), [])
        self.assertEqual(self.site.jobs, [])

    def test_after_a_rollback_later_events_are_recorded_and_woken(self) -> None:
        note("N-1").insert()
        frappe.db.rollback()
        note("N-2").insert()
        frappe.db.commit()
        self.assertEqual({name for _, name in self.events()}, {"N-2"})
        self.assertEqual(len(self.site.jobs), 1)

    def test_a_rollback_to_a_savepoint_drops_only_what_came_after_it(self) -> None:
        note("N-1").insert()
        frappe.db.savepoint("here")
        note("N-2").insert()
        frappe.db.rollback(save_point="here")
        frappe.db.commit()
        self.assertEqual({name for _, name in self.events()}, {"N-1"})

    def test_one_transaction_wakes_one_drain_after_its_commit(self) -> None:
        with mock.patch.object(frappe, "enqueue", wraps=frappe.enqueue) as enqueue:
            for number in range(5):
                note(f"N-{number}").insert()
            self.assertEqual(enqueue.call_count, 0)
            frappe.db.commit()
            self.assertEqual(enqueue.call_count, 1)
        self.assertEqual([job.method for job in self.site.jobs], ["hookmill_frappe.drain.drain"])
        note("N-9").insert()
        frappe.db.commit()
        self.assertEqual(len(self.site.jobs), 1, "a drain is queued already")

    def test_a_queue_out_of_reach_fails_no_save(self) -> None:
        self.site.queue_down = True
        with self.assertLogs("frappe.hookmill", "WARNING"):
            note("N-1").insert()
            frappe.db.commit()
        self.assertEqual(len(self.events()), 2)

    def test_events_of_one_transaction_have_an_order_even_if_the_clock_stands_or_goes_back(self) -> None:
        moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)
        for shift in (0, 0, -3600):
            with mock.patch("hookmill_frappe.clock.now", lambda s=shift: moment + datetime.timedelta(seconds=s)):
                note(f"N-{len(self.outbox())}").insert()
        self.assertEqual([name for _, name in self.events()], ["N-0", "N-0", "N-2", "N-2", "N-4", "N-4"])

    def test_if_the_outbox_can_not_be_written_neither_is_the_document(self) -> None:
        frappe.db.sql("drop table `tabHookmill Outbox`")
        frappe.db.commit()
        with self.assertRaises(Exception):  # noqa: B017 (each database has its own)
            note("N-1").insert()
        frappe.db.rollback()
        self.assertEqual(frappe.db.count("Note"), 0)


class Fourteen(SiteCase):
    """Before version 15 there is no `frappe.db.after_commit`."""

    version = 14

    def test_events_are_recorded_and_left_to_the_scheduler(self) -> None:
        self.configure()
        note("N-1").insert()
        frappe.db.commit()
        self.assertEqual(len(self.events()), 2)
        self.assertEqual(self.site.jobs, [])


class Events(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure()

    def seen(self) -> list[str]:
        """Returns the Doc Events since the last look."""
        names = [doc_event for doc_event, _ in self.events()]
        frappe.db.delete("Hookmill Outbox", {})
        return names

    def test_the_life_of_a_document(self) -> None:
        doc = order("SO-1").insert()
        self.assertEqual(self.seen(), ["after_insert", "on_update"])
        doc.save()
        self.assertEqual(self.seen(), ["on_update", "on_change"])
        doc.submit()
        self.assertEqual(self.seen(), ["on_update", "on_submit", "on_change"])
        doc.save()
        self.assertEqual(self.seen(), ["on_update_after_submit", "on_change"])
        doc.cancel()
        self.assertEqual(self.seen(), ["on_cancel", "on_change"])
        doc.db_set("customer", "Eve")
        self.assertEqual(self.seen(), ["on_change"])
        frappe.rename_doc("Sales Order", "SO-1", "SO-2")
        self.assertEqual(self.seen(), ["after_rename"])
        frappe.get_doc("Sales Order", "SO-2").delete()
        self.assertEqual(self.seen(), ["on_trash", "on_change"])

    def test_hooks_and_settings_know_the_same_events(self) -> None:
        from hookmill_frappe import hooks

        names = [field.fieldname for field in frappe.get_meta("Hookmill Settings").fields]
        fields = {name.removeprefix("event_") for name in names if name.startswith("event_")}
        self.assertEqual(fields, {*hooks.doc_events["*"], "workflow_transition"})

    def test_a_rename_tells_the_old_name(self) -> None:
        note("N-1").insert()
        frappe.rename_doc("Note", "N-1", "N-2")
        event = self.outbox()[-1].event
        self.assertEqual(event["doc"]["name"], "N-2")
        self.assertEqual(event["meta"], {"site": "standin.example", "old_name": "N-1", "merged": "false"})

    def test_a_workflow_task_records_the_transition(self) -> None:
        from hookmill_frappe import hooks

        doc = order("SO-1").insert()
        self.seen()
        frappe.get_attr(hooks.workflow_methods[0]["method"])(doc)
        self.assertEqual(self.seen(), ["workflow_transition"])

    def test_only_chosen_doctypes_and_events(self) -> None:
        self.configure(doctypes=["Sales Order"], event_on_update=0)
        note("N-1").insert()
        order("SO-1").insert()
        self.assertEqual(self.events(), [("after_insert", "SO-1")])

    def test_nothing_while_disabled(self) -> None:
        self.configure(enabled=0)
        note("N-1").insert()
        self.assertEqual(self.events(), [])

    def test_imports_only_if_wanted(self) -> None:
        for flag in ("in_import", "in_patch", "in_install", "in_migrate"):
            with self.subTest(flag):
                frappe.flags[flag] = True
                note(f"{flag}-1").insert()
                self.assertEqual(self.seen(), [])
                self.configure(**{f"capture_{flag}": 1})
                note(f"{flag}-2").insert()
                self.assertEqual(self.seen(), ["after_insert", "on_update"])
                frappe.flags[flag] = None

    def test_nothing_breaks_before_the_app_is_migrated(self) -> None:
        frappe.clear_document_cache("Hookmill Settings", "Hookmill Settings")
        for name in ("Hookmill Settings", "Hookmill Outbox", "Hookmill DocType"):
            del self.site.registry.metas[name]
        note("N-1").insert()
        self.assertEqual(frappe.db.count("Note"), 1)


class Content(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure()

    def test_what_the_envelope_says(self) -> None:
        frappe.session.user = "ana@example.com"
        note("N-1").insert()
        row = self.outbox()[0]
        event = row.event
        self.assertEqual((event["id"], event["doctype"], event["doc_event"]), (row.name, "Note", "after_insert"))
        self.assertEqual((event["user"], event["meta"]), ("ana@example.com", {"site": "standin.example"}))
        self.assertRegex(event["occurred_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        at = datetime.datetime.strptime(event["occurred_at"], "%Y-%m-%dT%H:%M:%S.%f%z")
        self.assertLess(abs(datetime.datetime.now(datetime.timezone.utc) - at), datetime.timedelta(minutes=5))

    def test_the_document_is_as_frappes_webhooks_send_it(self) -> None:
        doc = order("SO-1", items=[{"item_code": "SKU-1", "qty": 2.0}]).insert()
        sent = self.outbox()[0].event["doc"]
        expected = doc.as_dict(convert_dates_to_str=True)
        self.assertEqual({**sent, "items": None}, {**expected, "items": None})
        self.assertEqual(list(sent), list(expected), "the order of the fields is kept")
        self.assertEqual((sent["items"][0]["item_code"], sent["items"][0]["qty"]), ("SKU-1", 2.0))

    def test_the_forms_notes_are_left_out(self) -> None:
        doc = note("N-1")
        doc.set("__onload", {"secret of the form": 1})
        doc.insert()
        self.assertEqual([key for key in self.outbox()[0].event["doc"] if key.startswith("__")], [])

    def test_changes_in_memory_after_the_event_do_not_leak(self) -> None:
        doc = order("SO-1", items=[{"item_code": "SKU-1"}]).insert()
        doc.customer = "Mallory"
        doc.items[0].item_code = "SKU-2"
        frappe.db.commit()
        sent = self.outbox()[0].event["doc"]
        self.assertEqual((sent["customer"], sent["items"][0]["item_code"]), ("Bob", "SKU-1"))

    def test_each_of_several_saves_is_an_event(self) -> None:
        doc = note("N-1").insert()
        for title in ("one", "two"):
            doc.title = title
            doc.save()
        titles = [row.event["doc"]["title"] for row in self.outbox(doc_event="on_update")]
        self.assertEqual(titles, ["N-1", "one", "two"])

    def test_before_is_the_document_before_the_change(self) -> None:
        doc = note("N-1").insert()
        doc.title = "new"
        doc.save()
        befores = {(row.doc_event, row.event["doc"]["title"]): row.event["before"] for row in self.outbox()}
        self.assertIsNone(befores["after_insert", "N-1"])
        self.assertIsNone(befores["on_update", "N-1"])
        self.assertEqual(befores["on_update", "new"]["title"], "N-1")
        self.assertEqual(befores["on_change", "new"]["title"], "N-1")

    def test_before_can_be_left_out(self) -> None:
        self.configure(include_before=0)
        doc = note("N-1").insert()
        doc.save()
        self.assertEqual([row.event["before"] for row in self.outbox()], [None] * 4)

    def test_no_password_and_not_even_its_length(self) -> None:
        doc = note("N-1", pin="hunter2").insert()
        doc.save()
        kept = note("N-2", pin="hunter2")
        kept.flags.ignore_save_passwords = True
        kept.insert()
        order("SO-1", items=[{"item_code": "A", "licence_key": "hunter2"}]).insert()
        for row in self.outbox():
            self.assertNotIn("hunter2", row.payload)
            self.assertNotIn('"' + "*" * 7 + '"', row.payload)
        self.assertEqual(self.outbox(reference_name="N-1")[0].event["doc"]["pin"], "********")
        self.assertIsNone(self.outbox(reference_name="SO-1")[0].event["doc"].get("pin"))

    def test_what_json_has_no_word_for(self) -> None:
        doc = note("N-1", due=datetime.date(2026, 2, 3)).insert()
        # No database takes these, but a computed field may have them.
        doc.weight, doc.content = float("nan"), "Ünï \ud800 <b>\n\u2028"
        frappe.get_attr("hookmill_frappe.capture.workflow_transition")(doc)
        row = self.outbox(doc_event="workflow_transition")[0]
        self.assertEqual(len(row.payload.split("\n")), 1)
        sent = row.event["doc"]
        self.assertEqual((sent["due"], sent["weight"], sent["content"]), ("2026-02-03", None, "Ünï ? <b>\n\u2028"))

    def test_after_a_deadlock_the_save_does_not_go_on(self) -> None:
        deadlock = sqlite3.OperationalError("deadlock found when a computed field asked")
        with mock.patch("hookmill_frappe.event.document", side_effect=deadlock), self.assertRaises(sqlite3.Error):
            note("N-1").insert()

    def test_a_document_far_too_large_is_saved_and_its_event_kept_without_content(self) -> None:
        note("N-1", content="x" * (4 * 1024 * 1024)).insert()
        frappe.db.commit()
        self.assertEqual(frappe.db.count("Note"), 1)
        self.assertEqual(
            [(row.status, row.error_code, row.size) for row in self.outbox()], [("Failed", "too_large", 0)] * 2
        )

    def test_a_document_that_can_not_be_written_is_kept_as_failed_and_saved(self) -> None:
        with mock.patch("hookmill_frappe.event.document", side_effect=[TypeError("no JSON"), RuntimeError()]):
            note("N-1").insert()
        frappe.db.commit()
        self.assertEqual(frappe.db.count("Note"), 1)
        row = self.outbox(doc_event="after_insert")[0]
        self.assertEqual((row.status, row.error_code, row.payload), ("Failed", "not_serialised", None))
        self.assertIn("no JSON", row.error)
        doc = frappe.get_doc("Hookmill Outbox", row.name)
        doc.status = "Pending"
        with self.assertRaisesRegex(frappe.ValidationError, "no content"):
            doc.save()
