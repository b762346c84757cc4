"""The template of docs/frappe-source.md, rendered as Frappe renders it and sent as Frappe sends it.

Jinja2 itself, with what Frappe sets in it: the sandbox, undefined names that print themselves, no escaping, and the
filter `json`. The documents are what a Frappe 15 site gave to its templates.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import hashlib
import hmac
import json
import os
import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

import requests
from frappe import _dict
from jinja2 import DebugUndefined
from jinja2.sandbox import SandboxedEnvironment

from tests.support import Hookmill, HttpServer

_HERE = Path(__file__).resolve().parent
_PAGE = _HERE.parents[2] / "docs" / "frappe-source.md"


def as_json(value: Any) -> str:
    """Writes JSON as `frappe.as_json` does: indented by one, sorted, dates as text, decimals as numbers."""

    def other(value: Any) -> Any:
        if isinstance(value, decimal.Decimal):
            return float(value)
        if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
            return str(value)
        raise TypeError(type(value))

    return json.dumps(value, indent=1, sort_keys=True, default=other, separators=(",", ": "))


def documents() -> dict[str, dict[str, Any]]:
    found = {path.stem: json.loads(path.read_text()) for path in sorted((_HERE / "documents").glob("*.json"))}
    assert len(found) == 3, found.keys()
    return found


class TemplateCase(unittest.TestCase):
    def setUp(self) -> None:
        super().setUp()
        blocks = re.findall(r"```jinja\n(.*?)```", _PAGE.read_text(), re.DOTALL)
        self.assertEqual(len(blocks), 1)
        self.source = blocks[0].rstrip("\n")
        environment = SandboxedEnvironment(undefined=DebugUndefined)
        environment.filters["json"] = as_json
        self.template = environment.from_string(self.source)

    def render(self, doc: dict[str, Any]) -> Any:
        return json.loads(self.template.render(doc=_dict(doc), utils={}))


class Template(TemplateCase):
    def test_doctype_event_and_the_whole_document(self) -> None:
        for name, doc in documents().items():
            with self.subTest(name):
                self.assertEqual(self.render(doc), {"doctype": doc["doctype"], "event": "on_update", "doc": doc})

    def test_numbers_keep_their_kind(self) -> None:
        doc = documents()["all-fieldtypes-after-insert"]
        sent = self.render(doc)["doc"]
        numbers = {key: value for key, value in doc.items() if isinstance(value, (int, float))}
        self.assertEqual({key: repr(sent[key]) for key in numbers}, {key: repr(numbers[key]) for key in numbers})
        self.assertIn("9007199254740993", map(repr, numbers.values()))

    def test_no_content_breaks_out(self) -> None:
        doc = {
            "doctype": 'Odd "Type"',
            "title": 'a "quote", \\ and \n line {{ 7 * 7 }} {% raw %} </script>\u2028\u0000',
            "items": [{"doctype": "Row", "keys": "k", "values": ["v"]}],
            "keys": 1,
            "values": 2,
            "get": 3,
        }
        self.assertEqual(self.render(doc), {"doctype": doc["doctype"], "event": "on_update", "doc": doc})

    def test_values_that_are_no_json_yet(self) -> None:
        doc = {"doctype": "Note", "due": datetime.date(2026, 2, 3), "amount": decimal.Decimal("1.5")}
        self.assertEqual(self.render(doc)["doc"], {"doctype": "Note", "due": "2026-02-03", "amount": 1.5})

    def test_it_gives_the_same_text_twice(self) -> None:
        for doc in documents().values():
            self.assertEqual(self.template.render(doc=_dict(doc)), self.template.render(doc=_dict(doc)))

    def test_frappe_takes_it_for_a_template(self) -> None:
        self.assertNotIn(".__", self.source, "Frappe calls such a template illegal")
        endings = (".html", ".md", ".json", ".js", ".xml", ".txt", ".css", ".py")
        self.assertFalse(self.source.strip().endswith(endings), "Frappe would read a file of that name")


SECRET = "a secret for tests only"


class Sending(TemplateCase):
    """What Frappe's worker does with a rendered template, against a real hookmill."""

    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="hookmill-frappe-")
        self.addCleanup(folder.cleanup)
        self.receiver = HttpServer()
        self.addCleanup(self.receiver.close)
        self.hookmill = Hookmill(os.path.join(folder.name, "hookmill-data"))
        self.addCleanup(self.hookmill.stop)
        self.hookmill.call("PUT", "/v1/sources/frappe", {"secrets": [SECRET]})

    def send(self, body: str, secret: str = SECRET) -> requests.Response:
        digest = hmac.new(secret.encode("utf8"), body.encode("utf8"), hashlib.sha256).digest()
        return requests.request(
            method="POST",
            url=self.hookmill.url + "/v1/sources/frappe?webhook=hookmill-on-update",
            data=body,
            headers={"X-Frappe-Webhook-Signature": base64.b64encode(digest), "Content-Type": "application/json"},
            timeout=10,
        )

    def test_every_document_arrives_in_the_bytes_of_either_version_and_once(self) -> None:
        for doctype in {doc["doctype"] for doc in documents().values()}:
            self.hookmill.webhook(doctype, "on_update", self.receiver)
        expected = []
        for doc in documents().values():
            data = self.render(doc)
            # Frappe 15 writes with json.dumps, newer versions with frappe.as_json.
            for body in (json.dumps(data, default=str), as_json(data)):
                self.assertEqual([self.send(body).status_code for _ in range(3)], [202, 200, 200])
                expected.append(doc)
        received = [json.loads(request.body) for request in self.receiver.wait_for(len(expected))]
        self.assertCountEqual(received, expected)
        self.assertEqual(len(self.hookmill.deliveries()), len(expected))

    def test_another_secret_is_refused_with_the_reason(self) -> None:
        answer = self.send(json.dumps(self.render(documents()["all-fieldtypes-after-insert"])), "another secret")
        self.assertEqual((answer.status_code, answer.json()["code"]), (401, "source_wrong_signature"))
        self.assertIn("same secret", answer.json()["help"])
