"""What the tests share: a site on the stand-in, a hookmill process, receivers, and waiting."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import frappe
from frappe import Site

TOKEN = "a token for tests only"
# Far beyond what anything here takes, so that a loaded machine turns no test red.
DEADLINE = 60.0

NOTE = {
    "name": "Note",
    "fields": [
        {"fieldname": "title", "fieldtype": "Data"},
        {"fieldname": "content", "fieldtype": "Text Editor"},
        {"fieldname": "due", "fieldtype": "Date"},
        {"fieldname": "weight", "fieldtype": "Float"},
        {"fieldname": "pin", "fieldtype": "Password"},
    ],
}
ORDER = {
    "name": "Sales Order",
    "is_submittable": 1,
    "fields": [
        {"fieldname": "customer", "fieldtype": "Data"},
        {"fieldname": "items", "fieldtype": "Table", "options": "Sales Order Item"},
    ],
}
ORDER_ITEM = {
    "name": "Sales Order Item",
    "istable": 1,
    "fields": [
        {"fieldname": "item_code", "fieldtype": "Data"},
        {"fieldname": "qty", "fieldtype": "Float"},
        {"fieldname": "licence_key", "fieldtype": "Password"},
    ],
}
DOCTYPE = {"name": "DocType", "fields": []}
WEBHOOK = {
    "name": "Webhook",
    "fields": [{"fieldname": "enabled", "fieldtype": "Check"}, {"fieldname": "webhook_doctype", "fieldtype": "Link"}],
}


def wait_until(condition: Callable[[], Any], what: str) -> Any:
    """Returns what the condition gives once it is true."""
    until = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > until:
            raise AssertionError(f"{DEADLINE:.0f} s went by without {what}")
        pause.wait(0.01)
    return value


class SiteCase(unittest.TestCase):
    """A test with a site of its own, on which the app is installed and migrated."""

    version = 15

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="hookmill-frappe-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.site = open_site(self.folder, self.version)
        self.addCleanup(frappe.destroy)

    def configure(self, **values: Any) -> None:
        """Saves Hookmill Settings, enabled for Note and Sales Order if nothing else is said."""
        settings = frappe.get_single("Hookmill Settings")
        doctypes = values.pop("doctypes", ["Note", "Sales Order"])
        settings.update({"enabled": 1, "url": "http://127.0.0.1:9", "token": TOKEN, **values})
        settings.set("doctypes", [{"document_type": doctype} for doctype in doctypes])
        settings.save()
        frappe.db.commit()
        self.site.jobs.clear()

    def outbox(self, **filters: Any) -> list[Any]:
        """Returns the rows in the order in which they are sent."""
        rows = frappe.get_all("Hookmill Outbox", filters=filters, fields=["*"], order_by="occurred_at asc")
        for row in rows:
            row.event = json.loads(row.payload) if row.payload else None
        return rows

    def events(self) -> list[tuple[str, str]]:
        """Returns Doc Event and document of what waits."""
        return [(row.doc_event, row.reference_name) for row in self.outbox()]

    def settings(self) -> Any:
        return frappe.get_single("Hookmill Settings")

    def clock_moves(self, seconds: float) -> None:
        """Lets the app's clock go forward for the rest of the test."""
        from hookmill_frappe import clock

        real = clock.now
        patch = mock.patch.object(clock, "now", lambda: real() + timedelta(seconds=seconds))
        patch.start()
        self.addCleanup(patch.stop)


def open_site(folder: str, version: int = 15) -> Site:
    """Begins a request on the site of a folder, which is made if need be."""
    site = Site(folder, version=version)
    for doctype in (DOCTYPE, WEBHOOK, NOTE, ORDER, ORDER_ITEM):
        site.registry.define(doctype)
    site.install("hookmill_frappe.hooks")
    site.create_tables()
    frappe.init(site)
    return site


def note(name: str, **values: Any) -> Any:
    return frappe.get_doc({"doctype": "Note", "name": name, "title": name, **values})


def order(name: str, **values: Any) -> Any:
    return frappe.get_doc({"doctype": "Sales Order", "name": name, "customer": "Bob", **values})


class HttpServer:
    """A real HTTP server on a free port, which keeps what it gets."""

    def __init__(self, answer: Callable[[Any], tuple[int, dict[str, str], bytes]] | None = None) -> None:
        self.requests: list[Any] = []
        self.changed = threading.Condition()
        self.answer = answer or (lambda request: (200, {}, b"{}"))
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                request = frappe._dict(path=self.path, headers=self.headers, body=body)
                with outer.changed:
                    outer.requests.append(request)
                    outer.changed.notify_all()
                status, headers, content = outer.answer(request)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for(self, count: int) -> list[Any]:
        """Waits for that many requests."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.requests) >= count, DEADLINE):
                raise AssertionError(f"only {len(self.requests)} of {count} requests came")
            return list(self.requests)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Hookmill:
    """A hookmill process."""

    def __init__(self, data: str) -> None:
        binary = os.environ.get("HOOKMILL_BIN")
        if not binary or not Path(binary).is_file():
            raise AssertionError(
                "HOOKMILL_BIN must name a hookmill binary, such as target/debug/hookmill after "
                "`cargo build -p hookmill-cli`: these tests are about a real server"
            )
        self.binary, self.data, self.listen = binary, data, "127.0.0.1:0"
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        """Starts it; a second time on the port of the first."""
        self.process = subprocess.Popen(
            [self.binary, "serve", "--listen", self.listen, "--data", self.data, "--allow", "127.0.0.0/8"],
            env={**os.environ, "HOOKMILL_TOKEN": TOKEN, "HOOKMILL_LOG": "error"},
            stdout=subprocess.PIPE,
            text=True,
        )
        first = self.process.stdout.readline()
        if "ready at " not in first:
            raise AssertionError(f"hookmill did not start: {first!r}")
        self.url = first.split("ready at ")[1].strip()
        self.listen = self.url.removeprefix("http://")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(DEADLINE)
            self.process.stdout.close()
            self.process = None

    def call(self, method: str, path: str, content: Any = None) -> Any:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return json.load(response)

    def webhook(self, doctype: str, doc_event: str, receiver: HttpServer, **values: Any) -> None:
        """Saves a webhook that sends the documents themselves."""
        content = {"doctype": doctype, "doc_event": doc_event, "request_url": receiver.url, **values}
        self.call("PUT", f"/v1/webhooks/{doctype.replace(' ', '-').lower()}-{doc_event}", content)

    def deliveries(self) -> list[Any]:
        """Returns all deliveries, each with its event."""
        listed = self.call("GET", "/v1/deliveries?limit=200")["deliveries"]
        return [self.call("GET", f"/v1/deliveries/{delivery['id']}") for delivery in listed]


class HookmillCase(SiteCase):
    """A test with a site, a hookmill and a receiver; the site's settings name the hookmill."""

    def setUp(self) -> None:
        super().setUp()
        self.receiver = HttpServer()
        self.addCleanup(self.receiver.close)
        self.hookmill = Hookmill(os.path.join(self.folder, "hookmill-data"))
        self.addCleanup(self.hookmill.stop)
        self.configure(url=self.hookmill.url)

    def received(self, count: int) -> list[Any]:
        """Waits for that many documents at the receiver, then for hookmill to have nothing left to send."""
        self.receiver.wait_for(count)
        wait_until(
            lambda: all(delivery["state"] == "delivered" for delivery in self.hookmill.deliveries()),
            "every delivery being delivered",
        )
        return [json.loads(request.body) for request in self.receiver.requests]
