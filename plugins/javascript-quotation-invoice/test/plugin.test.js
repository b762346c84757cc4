import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { call } from "hookmill-sdk/testing";

import { transform } from "../src/plugin.js";

const read = (file) => readFileSync(new URL(`../../../tests/documents/${file}`, import.meta.url), "utf8");
const QUOTATION = read("quotation-on-update.json");

test("a quotation becomes an invoice", () => {
  const { request, log } = call(transform, QUOTATION);
  assert.equal(request.body, read("expected/quotation-invoice.json"));
  assert.deepEqual(log, ["info: invoice for SAL-QTN-2026-00001 over INR 1475.0"]);
});

test("the currency falls back to the settings", () => {
  const without = QUOTATION.replace('"currency": "INR"', '"currency": null');
  assert.match(call(transform, without, { settings: { currency: "EUR" } }).request.body, /"currency":"EUR"/);
  assert.match(call(transform, without).request.body, /"currency":"USD"/);
});

test("lines that do not add up are logged", () => {
  const { log } = call(transform, QUOTATION.replace('"net_total": 1250.0', '"net_total": 1249.0'));
  assert.equal(log[0], "warn: the lines of SAL-QTN-2026-00001 add up to 1250, not to 1249.0");
});

test("wrong documents and settings are named", () => {
  const fails = (text, settings, expected) => {
    const { kind, code, path } = call(transform, text, { settings }).failure;
    assert.deepEqual([kind, code, path], expected);
  };
  fails(read("note-on-update.json"), {}, ["bad-document", "document_mismatch", null]);
  fails(QUOTATION.replace('"qty": 5.0', '"qty": "five"'), {}, ["bad-document", "document_mismatch", "/items/0/qty"]);
  fails(QUOTATION, { currancy: "EUR" }, ["bad-settings", "settings_mismatch", "/currancy"]);
  const empty = QUOTATION.replace(/"items": \[[^]*"taxes": \[/, '"items": [], "taxes": [');
  fails(empty, {}, ["bad-document", "no_items", "/items"]);
});
