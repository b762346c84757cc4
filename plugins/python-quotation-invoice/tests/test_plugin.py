"""The invoice, against the sample documents."""

import re
import unittest
from pathlib import Path

from hookmill_sdk.testing import call

from plugin import transform

DOCUMENTS = Path(__file__).parents[3] / "tests" / "documents"
QUOTATION = (DOCUMENTS / "quotation-on-update.json").read_text("utf-8")


class Invoice(unittest.TestCase):
    def test_a_quotation_becomes_an_invoice(self):
        outcome = call(transform, QUOTATION)
        self.assertEqual(outcome.request.body.value, (DOCUMENTS / "expected/quotation-invoice.json").read_text("utf-8"))
        self.assertEqual(outcome.log, ["info: invoice for SAL-QTN-2026-00001 over INR 1475.0"])

    def test_the_currency_falls_back_to_the_settings(self):
        without = QUOTATION.replace('"currency": "INR"', '"currency": null')
        self.assertIn('"currency":"EUR"', call(transform, without, {"currency": "EUR"}).request.body.value)
        self.assertIn('"currency":"USD"', call(transform, without).request.body.value)

    def test_lines_that_do_not_add_up_are_logged(self):
        outcome = call(transform, QUOTATION.replace('"net_total": 1250.0', '"net_total": 1249.0'))
        self.assertEqual(outcome.log[0], "warn: the lines of SAL-QTN-2026-00001 add up to 1250.0, not to 1249.0")

    def test_wrong_documents_and_settings_are_named(self):
        empty = re.sub(r'"items": \[.*"taxes": \[', '"items": [], "taxes": [', QUOTATION, flags=re.DOTALL)
        note = (DOCUMENTS / "note-on-update.json").read_text("utf-8")
        for text, settings, expected in [
            (note, {}, ("bad-document", "document_mismatch", None)),
            (QUOTATION.replace('"qty": 5.0', '"qty": "five"'), {}, ("bad-document", "document_mismatch", "/items/0/qty")),
            (QUOTATION, {"currancy": "EUR"}, ("bad-settings", "settings_mismatch", "/currancy")),
            (empty, {}, ("bad-document", "no_items", "/items")),
        ]:
            failure = call(transform, text, settings).failure
            self.assertEqual((failure.kind, failure.code, failure.path), expected)


if __name__ == "__main__":
    unittest.main()
