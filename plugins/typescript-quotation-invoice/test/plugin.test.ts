import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { call } from "hookmill-sdk/testing";

import { transform } from "../src/plugin.js";

// The tests run from `build/test`.
const read = (file: string) => readFileSync(new URL(`../../../../tests/documents/${file}`, import.meta.url), "utf8");
const QUOTATION = read("quotation-on-update.json");

test("a quotation becomes an invoice", () => {
  const { request, log } = call(transform, QUOTATION);
  assert.equal(request?.body, read("expected/quotation-invoice.json"));
  assert.deepEqual(log, ["info: invoice for SAL-QTN-2026-00001 over INR 1475.0"]);
});

test("the currency falls back to the settings", () => {
  const without = QUOTATION.replace('"currency": "INR"', '"currency": null');
  const body = (settings: object) => String(call(transform, without, { settings }).request?.body);
  assert.match(body({ currency: "EUR" }), /"currency":"EUR"/);
  assert.match(body({}), /"currency":"USD"/);
});

test("wrong documents and settings are named", () => {
  const fails = (text: string, settings: object, expected: unknown[]) => {
    const failure = call(transform, text, { settings }).failure;
    assert.deepEqual([failure?.kind, failure?.code, failure?.path], expected);
  };
  fails(read("note-on-update.json"), {}, ["bad-document", "document_mismatch", null]);
  fails(QUOTATION.replace('"qty": 5.0', '"qty": "five"'), {}, ["bad-document", "document_mismatch", "/items/0/qty"]);
  fails(QUOTATION, { currancy: "EUR" }, ["bad-settings", "settings_mismatch", "/currancy"]);
  const empty = QUOTATION.replace(/"items": \[[^]*"taxes": \[/, '"items": [], "taxes": [');
  fails(empty, {}, ["bad-document", "no_items", "/items"]);
});
