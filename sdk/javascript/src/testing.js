// Runs a plugin in an ordinary Node.js process, as the host would. See testing.d.ts.

import { collect } from "#host";

export function call(plugin, envelope, { settings = {}, draft = {} } = {}) {
  const event = toEvent(typeof envelope === "string" ? envelope : JSON.stringify(envelope));
  const request = { method: "POST", url: "https://receiver.example/in", headers: [], body: { tag: "empty" }, ...draft };
  const { result, log } = collect(() => {
    try {
      return plugin.transform(event, request, JSON.stringify(settings));
    } catch (failure) {
      if (failure?.val?.code === undefined) throw failure;
      return { tag: "fail", val: { kind: failure.tag, ...failure.val } };
    }
  });
  switch (result.tag) {
    case "send":
      return { request: { ...result.val, body: result.val.body.val }, log };
    case "skip":
      return { skipped: result.val, log };
    default:
      return { failure: result.val, log };
  }
}

export function callJudge(judge, envelope, { status, headers = [], body = "" }, { settings = {} } = {}) {
  const event = toEvent(typeof envelope === "string" ? envelope : JSON.stringify(envelope));
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const { result, log } = collect(() => {
    try {
      const { tag, val } = judge.judge(event, status, headers, bytes, JSON.stringify(settings));
      return { verdict: val === undefined ? { tag } : { tag, val } };
    } catch (error) {
      return { error };
    }
  });
  return { ...result, log };
}

export function callDescribe(description) {
  return JSON.parse(description.describe());
}

export function callValidateSettings(description, settings) {
  const { result, log } = collect(() => {
    try {
      description.validateSettings(JSON.stringify(settings));
      return [];
    } catch (problems) {
      if (!Array.isArray(problems)) throw problems;
      return problems;
    }
  });
  return { problems: result, log };
}

// Makes the contract's event of the JSON that `POST /v1/events` takes; the document keeps its text.
function toEvent(text) {
  const envelope = JSON.parse(text);
  const name = envelope.doc.name;
  const meta = Object.entries(envelope.meta ?? {});
  if (envelope.user !== undefined) meta.push(["user", envelope.user]);
  return {
    id: envelope.id ?? "evt_test",
    tenant: "default",
    doctype: envelope.doctype,
    docEvent: envelope.doc_event,
    docName: ["string", "number"].includes(typeof name) ? String(name) : "",
    occurredAt: envelope.occurred_at ?? "2026-01-01T00:00:00Z",
    doc: member(text, "doc"),
    before: envelope.before == null ? null : member(text, "before"),
    meta,
  };
}

// Returns the text of a member of the outermost object.
function member(text, name) {
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s"{}[\]:,]+/g;
  let depth = 0;
  let from;
  let key;
  for (let found = token.exec(text); found; found = token.exec(text)) {
    const [word] = found;
    if ("]}".includes(word) || (word === "," && depth === 1)) {
      if (from !== undefined && depth === 1) return text.slice(from, found.index).trim();
      if (word !== ",") depth -= 1;
      key = undefined;
    } else if (word === ":" && depth === 1 && JSON.parse(key) === name) {
      from = token.lastIndex;
    } else if ("[{".includes(word)) {
      depth += 1;
    } else if (depth === 1 && from === undefined) {
      key ??= word;
    }
  }
  return undefined;
}
