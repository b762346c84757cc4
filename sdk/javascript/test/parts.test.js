// The optional exports: judging answers, describing the plugin, checking settings.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  BadDocument, BadSettings, byStatus, dead, delivered, description, judge, plugin, retry,
} from "hookmill-sdk";
import { callDescribe, callJudge, callValidateSettings } from "hookmill-sdk/testing";

import { world } from "../src/component.js";

const EVENT = '{"doctype": "Note", "doc_event": "on_update", "doc": {"name": "N-1"}}';
const SETTINGS = { channel: "string" };

const judged = (verdict, answer, given, options) => callJudge(judge(verdict, options), EVENT, answer, given);

test("a judge sees event, answer and settings", () => {
  const { verdict, log } = judged((event, response, settings) => {
    assert.equal(response.header("Retry-After"), "5");
    return dead(`${event.docName} ${response.status} ${response.text} ${settings.channel}`);
  }, { status: 200, headers: [["retry-after", "5"]], body: "é 日 😀" }, { settings: { channel: "#a" } }, { settings: SETTINGS });
  assert.deepEqual(verdict, { tag: "dead", val: "N-1 200 é 日 😀 #a" });
  assert.deepEqual(log, []);
  judged((_, response) => {
    assert.equal(response.header("X-A"), "1");
    assert.equal(response.header("x-b"), undefined);
    assert.equal(response.text, undefined);
    return delivered();
  }, { status: 200, headers: [["x-a", "1"]], body: new Uint8Array([0xc3, 0x28]) });
});

test("verdicts reach the host", () => {
  const verdict = (made) => judged(() => made, { status: 200 }).verdict;
  assert.deepEqual(verdict(delivered()), { tag: "delivered" });
  assert.deepEqual(verdict(retry()), { tag: "retry", val: null });
  assert.deepEqual(verdict(retry(3600)), { tag: "retry", val: 3600 });
  assert.throws(() => retry(1.5), RangeError);
  assert.throws(() => retry(-1), RangeError);
});

test("an answer may be judged by its status", () => {
  const tag = (status) => judged((_, response) => byStatus(response), { status }).verdict.tag;
  assert.deepEqual([199, 200, 299, 300, 410, 500].map(tag), ["retry", "delivered", "delivered", "retry", "dead", "retry"]);
});

test("settings that don't fit leave the word to the status", () => {
  const { verdict, log } = judged(() => dead("never"), { status: 204 }, { settings: { chanel: "#a" } }, { settings: SETTINGS });
  assert.deepEqual(verdict, { tag: "delivered" });
  assert.match(log[0], /^error: the webhook's settings don't fit this plugin: unknown field `chanel`/);
});

test("what a judge throws is logged with its stack before it ends the call", () => {
  const { error, log } = judged(function lookUp(event) {
    return event.doc.nothing.name;
  }, { status: 200 });
  assert.ok(error instanceof TypeError);
  assert.match(log[0], /^error: TypeError: .*\n +at lookUp .*parts\.test\.js:/);
  const blamed = judged(() => {
    throw new BadDocument("no_name", "the note has no name", "/name");
  }, { status: 200 });
  assert.deepEqual(blamed.log, ["error: no_name: the note has no name (at /name)"]);
  assert.equal(judged(() => undefined, { status: 200 }).error.code, "no_verdict");
});

const WORDS = { name: "chat", version: "1.2.3", description: "Sends messages", settings: { type: "object" } };

test("a plugin describes itself", () => {
  assert.deepEqual(callDescribe(description(WORDS)), WORDS);
});

test("settings are held against the shape, then against the author's own checks", () => {
  const validate = ({ channel }) => {
    if (channel.startsWith("#")) return undefined;
    return [new BadSettings("no_channel", "a channel begins with #", "/channel"), new BadSettings("odd", "odd")];
  };
  const checked = (settings) => callValidateSettings(description(WORDS, { settings: SETTINGS, validate }), settings).problems;
  assert.deepEqual(checked({ channel: "#a" }), []);
  assert.deepEqual(checked({ channel: "a" }), [
    { code: "no_channel", message: "a channel begins with #", path: "/channel" },
    { code: "odd", message: "odd", path: null },
  ]);
  assert.deepEqual(checked({ channel: 5 }).map(({ code, path }) => [code, path]), [["settings_mismatch", "/channel"]]);
  assert.deepEqual(callValidateSettings(description(WORDS), { any: 1 }).problems, []);
});

test("a check that fails refuses the settings with its stack", () => {
  const checked = (validate) => callValidateSettings(description(WORDS, { validate }), {});
  const { problems, log } = checked(function lookUp({ nothing }) {
    return nothing.name;
  });
  assert.equal(problems[0].code, "uncaught_error");
  assert.match(problems[0].message, /^TypeError: .*\n +at lookUp /);
  assert.deepEqual(log, [`error: ${problems[0].message}`]);
  assert.match(checked(() => ["a string"]).problems[0].message, /a string, which is no BadSettings/);
});

test("a component exports what its module does", () => {
  const [transform, response, describe] = [plugin(() => undefined), judge(() => undefined), description(WORDS)];
  assert.equal(world({ transform }), "plugin");
  assert.equal(world({ transform, response }), "judging-plugin");
  assert.equal(world({ transform, describe, other: 1 }), "describing-plugin");
  assert.equal(world({ transform, response, describe }), "full-plugin");
  assert.throws(() => world({ response }), /`export const transform = plugin\(…\)`/);
  assert.throws(() => world({ transform, response: () => undefined }), /`export const response = judge\(…\)`/);
});
