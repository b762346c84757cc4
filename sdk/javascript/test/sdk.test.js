import assert from "node:assert/strict";
import { test } from "node:test";

import { BadDocument, BadSettings, check, log, optional, plugin, PluginError, skip, stringify } from "hookmill-sdk";
import { call } from "hookmill-sdk/testing";

const EVENT = `{"doctype": "Note", "doc_event": "on_update", "user": "a@example.com", "before": {"name": "N-0"},
  "doc": {"name": "N-1", "total": 1250.0, "big": 12345678901234567890.10, "small": 1E-7, "lines": [{"qty": -0}], "text": "number:5 \\u00e9"}}`;

const run = (transform, given, options) => call(plugin(transform, options), EVENT, given);

test("numbers keep their spelling", () => {
  const { request } = run((event, draft) => ({ ...draft, json: event.exact }));
  const doc = '{"name":"N-1","total":1250.0,"big":12345678901234567890.10,"small":1E-7,"lines":[{"qty":-0}],"text":"number:5 é"}';
  assert.equal(request.body, doc);
  run((event, draft) => {
    assert.equal(event.exact.total * 2, 2500);
    assert.equal(`${event.exact.total}`, "1250.0");
    assert.equal(event.doc.total, 1250);
    assert.equal(event.before.name, "N-0");
    assert.equal(event.meta("user"), "a@example.com");
    assert.ok(event.docText.startsWith('{"name": "N-1"'));
    return draft;
  });
});

test("a draft is sent as it is, or with another body", () => {
  const draft = { body: { tag: "json", val: '{"a": 1.0}' }, headers: [["x-a", "1"]] };
  const { request } = run((_, draft) => draft, { draft });
  assert.deepEqual(request, { method: "POST", url: "https://receiver.example/in", headers: [["x-a", "1"]], body: '{"a": 1.0}' });
  assert.equal(run((_, draft) => ({ ...draft, text: "t" }), { draft }).request.body, "t");
  assert.deepEqual(run((_, draft) => ({ ...draft, bytes: new Uint8Array([1]) })).request.body, new Uint8Array([1]));
  assert.equal(run(() => skip("not today")).skipped, "not today");
});

test("what can't be a decision is named", () => {
  const code = (transform) => run(transform).failure.code;
  assert.equal(code(() => undefined), "no_decision");
  assert.equal(code(async (_, draft) => draft), "async_transform");
  assert.equal(code((_, draft) => ({ ...draft, json: 1, text: "1" })), "two_bodies");
  assert.equal(code((_, draft) => ({ ...draft, json: () => 1 })), "body_unwritable");
  const cycle = {};
  cycle.cycle = cycle;
  assert.equal(code((_, draft) => ({ ...draft, json: cycle })), "body_unwritable");
});

test("errors keep their kind, code, message and place", () => {
  const fails = (error) => run(() => {
    throw error;
  });
  const place = { code: "no_items", message: "nothing to invoice", path: "/items" };
  for (const [Class, kind] of [[BadDocument, "bad-document"], [BadSettings, "bad-settings"], [PluginError, "other"]]) {
    const { failure, log } = fails(new Class("no_items", "nothing to invoice", "/items"));
    assert.deepEqual(failure, { kind, ...place });
    assert.deepEqual(log, []);
  }
});

test("an unforeseen error brings its message and stack, to the failure and to the log", () => {
  const { failure, log } = run(function lookUp(event) {
    return event.doc.nothing.name;
  });
  assert.deepEqual([failure.kind, failure.code, failure.path], ["other", "uncaught_error", null]);
  assert.match(failure.message, /^TypeError: .*\n +at lookUp .*sdk\.test\.js:/);
  assert.deepEqual(log, [`error: ${failure.message}`]);
  assert.equal(run(() => {
    throw "a string";
  }).failure.message, "a string");
});

test("a shape names the first place that differs", () => {
  const shape = { name: "string", total: "exact", due: optional("string"), lines: [{ qty: "exact" }] };
  run((event, draft) => {
    assert.equal(check(event.exact, shape), event.exact);
    return draft;
  });
  const place = (doc, shape) => {
    try {
      check(doc, shape);
    } catch (error) {
      assert.equal(error.code, "document_mismatch");
      return [error.path, error.message.replace(/^.*plugin: /, "")];
    }
  };
  assert.deepEqual(place({ a: [{ b: 1 }, { b: "1" }] }, { a: [{ b: "number" }] }), ["/a/1/b", "expected a number, found a string"]);
  assert.deepEqual(place({ "x/y~": null }, { "x/y~": "string" }), ["/x~1y~0", "expected a string, found null"]);
  assert.deepEqual(place({ a: {} }, { a: { b: "string" } }), ["/a", "missing field `b`"]);
  assert.deepEqual(place([], { a: "string" }), [undefined, "expected an object, found an array"]);
  assert.deepEqual(place({ a: {} }, { a: ["any"] }), ["/a", "expected an array, found an object"]);
});

test("settings are held against their shape, and unknown ones are named", () => {
  const settings = { currency: optional("string") };
  const read = (given) => run((_, draft, settings) => ({ ...draft, json: settings }), { settings: given }, { settings });
  assert.equal(read({ currency: "EUR" }).request.body, '{"currency":"EUR"}');
  assert.equal(read(null).request.body, "{}");
  const { kind, code, path } = read({ currancy: "EUR" }).failure;
  assert.deepEqual([kind, code, path], ["bad-settings", "settings_mismatch", "/currancy"]);
  assert.equal(read({ currency: 5 }).failure.path, "/currency");
});

test("lines are logged with their level", () => {
  const { log: lines } = run((_, draft) => {
    log.warn(`odd: ${1}`);
    log.debug(5);
    return draft;
  });
  assert.deepEqual(lines, ["warn: odd: 1", "debug: 5"]);
  assert.equal(stringify({ a: 1 }), '{"a":1}');
});
