"""The SDK, without WebAssembly."""

import unittest
from decimal import Decimal

from hookmill_sdk import BadDocument, BadSettings, Number, Optional, PluginError, Skip, check, dumps, loads, log, plugin
from hookmill_sdk.log import Printed
from hookmill_sdk.request import Body
from hookmill_sdk.testing import call

EVENT = r"""{"doctype": "Note", "doc_event": "on_update", "user": "a@example.com", "before": {"name": "N-0"},
  "doc": {"name": "N-1", "total": 1250.00, "big": 12345678901234567890.10, "small": 1E-7, "lines": [{"qty": -0}], "text": "\u00e9"}}"""


def run(function, settings=None, shape=None, draft=None):
    return call(plugin(settings=shape)(function), EVENT, settings, draft)


class Sdk(unittest.TestCase):
    def test_numbers_keep_their_spelling(self):
        doc = '{"name":"N-1","total":1250.00,"big":12345678901234567890.10,"small":1E-7,"lines":[{"qty":-0}],"text":"é"}'
        self.assertEqual(run(lambda event, draft, _: draft.json(event.exact)).request.body, Body("json", doc))

        def looks(event, draft, _):
            self.assertEqual((event.exact["total"] * 2, f"{event.exact['total']}"), (Decimal(2500), "1250.00"))
            self.assertEqual(f"{event.exact['total']:.1f}", "1250.0")
            self.assertEqual((event.doc["total"], event.before["name"], event.meta["user"]), (1250, "N-0", "a@example.com"))
            return draft

        self.assertIsNone(run(looks).failure)

    def test_each_spelling_of_a_number_is_kept(self):
        plain = "2.50 -0 -0.0 0.0 0.000001 1234567890.1234567890123456789 123456789012345678901234567890"
        respelled = "0.0000001 0.00000000 -0.00000012 1e5 1E+05 1.0e-2 0e0 1e400 -1E-400"
        for text in [*plain.split(), *respelled.split()]:
            [number] = loads(f"[{text}]")
            self.assertEqual((dumps([number]), f"{number}"), (f"[{text}]", text))
            self.assertEqual(Decimal(number), Decimal(text))
        both = f'[{",".join([*plain.split(), *respelled.split()])},"1e5 stands in a text"]'
        self.assertEqual(dumps(loads(both)), both)
        self.assertEqual((Number("1e5").text, loads("2.50").text), ("1e5", "2.50"))

    def test_what_json_can_hold_is_written(self):
        for value, text in [
            ({"a": Number("1.0"), "b": [], "c": {}, "d": (1, 2.5, None, True)}, '{"a":1.0,"b":[],"c":{},"d":[1,2.5,null,true]}'),
            ({"a": 2.5, "b": '"\x1f\n'}, '{"a":2.5,"b":"\\"\\u001f\\n"}'),
            ([Decimal("2.50")], "[2.50]"),
            ({3: Number("1E5")}, '{"3":1E5}'),
        ]:
            self.assertEqual(dumps(value), text)
        for value in [float("nan"), {1, 2}, {"a": Number("1"), "b": float("inf")}, [Decimal("NaN")], ["\udfff"], [Number("1"), "\udfff"]]:
            with self.assertRaises(PluginError) as raised:
                dumps(value)
            self.assertEqual(raised.exception.code, "body_unwritable")

    def test_decisions(self):
        self.assertEqual(run(lambda *_: Skip("not today")).skipped, "not today")
        self.assertEqual(run(lambda *_: None).failure.code, "no_decision")
        request = run(lambda _, draft, __: draft.text("t").header("X-A", "1").header("x-a", "2")).request
        self.assertEqual((request.body, request.headers), (Body("text", "t"), [("x-a", "2")]))
        self.assertEqual(run(lambda _, draft, __: draft.bytes(b"\0")).request.body, Body("bytes", b"\0"))

    def test_errors_keep_their_kind_code_message_and_place(self):
        for kind in (BadDocument, BadSettings, PluginError):

            def fails(*_):
                raise kind("no_items", "nothing to invoice", "/items")

            outcome = run(fails)
            failure = outcome.failure
            self.assertIs(type(failure), kind)
            self.assertEqual((failure.code, failure.message, failure.path), ("no_items", "nothing to invoice", "/items"))
            self.assertEqual(outcome.log, [])

    def test_an_unforeseen_error_brings_its_message_and_stack(self):
        def look_up(event, *_):
            return event.doc["nothing"]

        outcome = run(look_up)
        self.assertEqual((outcome.failure.kind, outcome.failure.code), ("other", "uncaught_error"))
        self.assertRegex(outcome.failure.message, r"^KeyError: 'nothing'\nTraceback [^$]*test_sdk.py\", line \d+, in look_up")
        self.assertRegex(outcome.log[0], "^error: Traceback")

    def test_a_shape_names_the_first_place_that_differs(self):
        def place(doc, shape):
            with self.assertRaises(BadDocument) as raised:
                check(doc, shape)
            self.assertEqual(raised.exception.code, "document_mismatch")
            return raised.exception.path, raised.exception.message.partition("plugin: ")[2]

        fits = {"a": "x", "n": Number("1.0"), "i": 5, "l": [{"q": 1}], "none": None, "any": [1]}
        shape = {"a": str, "n": Number, "i": Number, "l": [{"q": float}], "none": Optional(str), "gone": Optional([str]), "any": object}
        self.assertIs(check(fits, shape), fits)
        self.assertEqual(place({"a": [{"b": 1}, {"b": "1"}]}, {"a": [{"b": int}]}), ("/a/1/b", "expected an integer, found a string"))
        self.assertEqual(place({"x/y~": None}, {"x/y~": str}), ("/x~1y~0", "expected a string, found null"))
        self.assertEqual(place({"a": {}}, {"a": {"b": str}}), ("/a", "missing field `b`"))
        self.assertEqual(place({"a": True}, {"a": int}), ("/a", "expected an integer, found a boolean"))
        self.assertEqual(place([], {"a": str}), (None, "expected an object, found an array"))

    def test_settings_are_held_against_their_shape(self):
        def read(given):
            return run(lambda _, draft, settings: draft.json(settings), given, {"currency": Optional(str)})

        self.assertEqual(read({"currency": "EUR"}).request.body.value, '{"currency":"EUR"}')
        self.assertEqual(read(None).request.body.value, "{}")
        failure = read({"currancy": "EUR"}).failure
        self.assertEqual((failure.kind, failure.code, failure.path), ("bad-settings", "settings_mismatch", "/currancy"))
        self.assertEqual(read({"currency": 5}).failure.path, "/currency")

    def test_what_is_printed_is_logged_by_lines(self):
        def prints(_, draft, __):
            log.warn("odd")
            print("one\ntwo", 3, file=Printed("info"))
            return draft

        self.assertEqual(run(prints).log, ["warn: odd", "info: one", "info: two 3"])


if __name__ == "__main__":
    unittest.main()
