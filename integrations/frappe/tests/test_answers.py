"""Answers that a healthy hookmill does not give at will: what stands before it, and what it says under load.

The server here is scripted, and takes hookmill's place behind a real socket.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from unittest import mock

import frappe

from tests.support import HttpServer, SiteCase, note

Answer = tuple[int, dict[str, str], bytes]


def taken(request: object) -> Answer:
    """Answers as hookmill does when it has recorded all."""
    events = [
        {"id": json.loads(line)["id"], "line": number} for number, line in enumerate(request.body.splitlines(), 1)
    ]
    return 202, {"Content-Type": "application/json"}, json.dumps({"events": events}).encode()


def problem(status: int, code: str, headers: dict[str, str] | None = None, **members: object) -> Callable[..., Answer]:
    content = {"status": status, "code": code, "detail": "said so", **members}
    return lambda request: (status, headers or {}, json.dumps(content).encode())


class Answers(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = HttpServer()
        self.addCleanup(self.server.close)
        self.configure(url=self.server.url, event_after_insert=0)

    def save(self, count: int, **values: object) -> None:
        for number in range(count):
            note(f"N-{number}", **values).insert()
        frappe.db.commit()

    def drain(self, *answers: Callable[..., Answer]) -> list[int]:
        """Drains; gives the answers one by one and then the last for ever. Returns the events in each request."""
        script = list(answers)
        self.server.requests.clear()
        self.server.answer = lambda request: (script.pop(0) if len(script) > 1 else script[0])(request)
        frappe.get_attr("hookmill_frappe.drain.drain")()
        return [len(request.body.splitlines()) for request in self.server.requests]

    def waits(self) -> int:
        return frappe.db.count("Hookmill Outbox", {"status": "Pending"})

    def test_the_request(self) -> None:
        self.save(2)
        netrc = os.path.join(self.folder, "netrc")
        with open(netrc, "w") as file:
            file.write("machine 127.0.0.1 login somebody password else\n")
        os.chmod(netrc, 0o600)
        with mock.patch.dict("os.environ", {"NETRC": netrc}):
            self.drain(taken)
        request = self.server.requests[0]
        self.assertEqual(request.path, "/v1/events")
        self.assertEqual(request.headers["Content-Type"], "application/x-ndjson")
        self.assertEqual(request.headers["Authorization"], "Bearer a token for tests only")
        self.assertEqual([json.loads(line)["doc"]["name"] for line in request.body.splitlines()], ["N-0", "N-1"])

    def test_batches_have_at_most_so_many_events(self) -> None:
        self.configure(url=self.server.url, batch_rows=3)
        self.save(7)
        self.assertEqual(self.drain(taken), [3, 3, 1])

    def test_batches_have_at_most_so_many_bytes_unless_one_event_is_larger(self) -> None:
        self.configure(url=self.server.url, batch_kb=10)
        self.save(4, content="x" * 4000)
        note("large", content="x" * 30_000).insert()
        note("last").insert()
        frappe.db.commit()
        self.assertEqual(self.drain(taken), [2, 2, 1, 1])
        sizes = [len(request.body) for request in self.server.requests]
        self.assertLessEqual(max(sizes[0], sizes[1], sizes[3]), 10 * 1024)

    def test_too_large_is_halved_until_it_fits(self) -> None:
        self.save(8)
        self.assertEqual(
            self.drain(lambda r: taken(r) if len(r.body.splitlines()) < 3 else (413, {}, b"")), [8, 4, 2, 2, 2, 2]
        )
        self.assertEqual(self.waits(), 0)

    def test_one_event_that_is_too_large_for_a_proxy_is_set_aside(self) -> None:
        self.save(3)
        self.assertEqual(self.drain(lambda r: (413, {}, b"<html>") if b'"N-0"' in r.body else taken(r)), [3, 1, 1, 1])
        failed = self.outbox(status="Failed")
        self.assertEqual([(row.reference_name, row.error_code) for row in failed], [("N-0", "too_large")])
        self.assertEqual(self.waits(), 0)

    def test_what_takes_nothing_keeps_all(self) -> None:
        self.save(3)
        wrong = {
            "the token": problem(401, "unauthorized"),
            "a proxy forbids": lambda r: (403, {}, b"Forbidden"),
            "the path": problem(404, "unknown_call"),
            "its own failure": lambda r: (500, {}, b""),
            "a proxy's": lambda r: (502, {}, b"<html>Bad Gateway</html>"),
            "a full disk": problem(507, "store_full"),
            "a redirect": lambda r: (302, {"Location": self.server.url + "/login"}, b""),
            "a page in its place": lambda r: (200, {}, b"<html>Welcome</html>"),
            "an answer for nobody": lambda r: (202, {}, b'{"events": []}'),
            "an answer for others": lambda r: (202, {}, b'{"events": [{"id": "x"}, {"id": "y"}, {"id": "z"}]}'),
            "an answer of another kind": lambda r: (200, {}, b"[1]"),
        }
        for name, answer in wrong.items():
            with self.subTest(name):
                self.configure(url=self.server.url, event_after_insert=0)
                self.assertEqual(self.drain(answer), [3], "one try, and no redirect followed")
                self.assertEqual((self.waits(), len(self.outbox(status="Failed"))), (3, 0))
                self.assertTrue(self.settings().last_error)
                self.assertTrue(self.settings().next_try_at)
        self.configure(url=self.server.url)
        self.assertEqual(self.drain(taken), [3])
        self.assertEqual(self.waits(), 0)

    def test_without_a_token_that_can_be_read_nothing_is_sent(self) -> None:
        self.save(1)
        unreadable = mock.patch(
            "frappe.model.document.Document.get_password", side_effect=frappe.ValidationError("key")
        )
        with unreadable:
            self.assertEqual(self.drain(taken), [])
        self.assertEqual(self.waits(), 1)
        self.assertIn("no token", self.settings().last_error)

    def test_a_batch_of_which_some_is_refused_and_some_is_delayed(self) -> None:
        self.save(4)
        ids = [row.event_id for row in self.outbox()]
        errors = [
            {"line": 2, "code": "event_malformed", "detail": "no JSON"},
            {"line": 3, "code": "overloaded", "detail": "too many deliveries wait"},
        ]
        answer = problem(400, "events_refused", errors=errors, events=[{"id": ids[0]}, {"id": ids[3]}])
        self.assertEqual(self.drain(answer), [4])
        self.assertEqual(
            [(row.event_id, row.status) for row in self.outbox()], [(ids[1], "Failed"), (ids[2], "Pending")]
        )
        self.assertIn("too many deliveries wait", self.settings().last_error)
        self.clock_moves(3600)
        self.assertEqual(self.drain(taken), [1])

    def test_retry_after_is_honoured(self) -> None:
        from hookmill_frappe import clock

        self.save(1)
        for status in (429, 503):
            for name, value in {
                "seconds": "120",
                "a date": format_datetime(clock.now() + timedelta(seconds=121), usegmt=True),
            }.items():
                with self.subTest(status=status, given=name):
                    self.configure(url=self.server.url)
                    self.drain(problem(status, "overloaded", {"Retry-After": value}))
                    self.assertEqual(self.drain_at(100), [])
                    self.assertEqual(self.drain_at(130, problem(503, "overloaded")), [1])

    def drain_at(self, seconds: float, *answers: Callable[..., Answer]) -> list[int]:
        from hookmill_frappe import clock

        real = clock.now
        with mock.patch.object(clock, "now", lambda: real() + timedelta(seconds=seconds)):
            return self.drain(*(answers or (taken,)))

    def test_waits_grow_to_five_minutes_and_are_over_with_the_first_success(self) -> None:
        from hookmill_frappe import clock

        self.save(1)
        waited, now = [], clock.now()
        with mock.patch.object(clock, "now", lambda: now):
            for _ in range(8):
                self.drain(lambda r: (500, {}, b""))
                next_try = clock.parse(self.settings().next_try_at)
                waited.append((next_try - now).total_seconds())
                now = next_try
            self.assertEqual(self.drain(taken), [1])
        self.assertEqual(waited, [10, 20, 40, 80, 160, 300, 300, 300])
        self.assertEqual((self.settings().failures, self.settings().next_try_at), (0, ""))

    def test_saves_do_not_wake_a_drain_that_has_to_wait(self) -> None:
        self.save(1)
        self.drain(lambda r: (500, {}, b""))
        self.site.jobs.clear()
        note("N-9").insert()
        frappe.db.commit()
        self.assertEqual(self.site.jobs, [])

    def test_what_is_recorded_while_a_batch_is_under_way_goes_with_the_same_drain(self) -> None:
        def saves_another(request: object) -> Answer:
            if len(self.server.requests) == 1:
                self.another_user_saves("N-2")
            return taken(request)

        self.save(1)
        self.server.answer = saves_another
        self.assertEqual(frappe.run_jobs(), 1)
        self.assertEqual([len(request.body.splitlines()) for request in self.server.requests], [1, 1])
        self.assertEqual(self.waits(), 0)

    def test_what_is_recorded_after_the_job_began_goes_with_it(self) -> None:
        from hookmill_frappe import lock

        real = lock.only_one

        def late() -> object:
            self.another_user_saves("N-2")
            return real()

        self.save(1)
        frappe.db.delete("Hookmill Outbox", {})
        frappe.db.commit()
        self.server.answer = taken
        with mock.patch.object(lock, "only_one", late):
            self.assertEqual(frappe.run_jobs(), 1)
        self.assertEqual(self.waits(), 0)

    def another_user_saves(self, name: str) -> None:
        """Records an event of another document, as a request on another connection does."""
        other = frappe.Database(self.site.database_file)
        columns = {"name": name, "event_id": name, "status": "Pending", "size": 9, "occurred_at": "9", "doc_event": "x"}
        other.insert("Hookmill Outbox", {**columns, "payload": json.dumps({"id": name})})
        other.commit()
        other.close()

    def test_nothing_is_sent_while_it_is_off(self) -> None:
        self.save(1)
        self.configure(url=self.server.url, enabled=0)
        self.assertEqual(self.drain(taken), [])
        self.assertEqual(self.waits(), 1)


class Form(SiteCase):
    """What Hookmill Settings takes."""

    def test_what_could_not_work_is_refused(self) -> None:
        refused = {
            "URL": [{"url": "hookmill.example"}, {"url": "ftp://hookmill.example"}, {"url": "http://"}, {"url": ""}],
            "Token": [{"token": ""}],
            "child table": [{"doctypes": ["Sales Order Item"]}],
            "belongs to this app": [{"doctypes": ["Hookmill Outbox"]}],
        }
        for message, attempts in refused.items():
            for values in attempts:
                with self.subTest(values), self.assertRaisesRegex(frappe.ValidationError, message):
                    self.configure(**values)

    def test_nothing_is_demanded_while_it_is_off(self) -> None:
        self.configure(enabled=0, url="", token="", doctypes=[])

    def test_saving_it_sends_what_waits(self) -> None:
        self.configure()
        settings = self.settings()
        settings.save()
        frappe.db.commit()
        self.assertEqual([job.method for job in self.site.jobs], ["hookmill_frappe.drain.drain"])

    def test_the_token_is_not_kept_with_the_settings(self) -> None:
        self.configure()
        self.assertNotIn("token for tests", str(frappe.db.singles("Hookmill Settings")))

    def test_installing_leaves_it_off_and_names_webhooks_that_would_send_twice(self) -> None:
        frappe.get_doc({"doctype": "Webhook", "name": "to-crm", "enabled": 1, "webhook_doctype": "Note"}).insert()
        frappe.flags.in_install = "hookmill_frappe"
        with mock.patch("builtins.print") as said:
            frappe.get_attr("hookmill_frappe.install.after_install")()
        self.assertFalse(self.settings().enabled)
        self.assertTrue(self.settings().event_on_update)
        self.assertIn("to-crm (Note)", " ".join(str(call) for call in said.call_args_list))
