// What the author of a plugin imports. See index.d.ts for the documentation of each name.

import { check, checkSettings, Optional } from "./check.js";
import { BadDocument, BadSettings, PluginError, toFailure } from "./errors.js";
import { Event } from "./event.js";
import { ExactNumber, stringify } from "./exact.js";
import { log } from "./log.js";

export { BadDocument, BadSettings, check, Event, ExactNumber, log, PluginError, stringify };
export { optional } from "./check.js";
export { description } from "./description.js";
export { byStatus, dead, delivered, judge, Response, retry } from "./judge.js";

class Skip {
  constructor(reason) {
    this.reason = String(reason);
  }
}

export function skip(reason) {
  return new Skip(reason);
}

export function plugin(transform, options = {}) {
  // Most webhooks have no settings, and whether that will do is known once for all calls.
  const needsNone = Object.values(options.settings ?? {}).every((shape) => shape instanceof Optional);
  return {
    transform(event, draft, settings) {
      try {
        const read = needsNone && settings === "{}" ? {} : checkSettings(settings, options.settings);
        return toDecision(transform(new Event(event), draft, read));
      } catch (error) {
        const { failure, stack } = toFailure(error);
        if (stack) log.error(stack);
        throw failure;
      }
    },
  };
}

// Turns what the author's function returned into the contract's decision.
function toDecision(answer) {
  if (typeof answer?.method === "string" && typeof answer.url === "string" && Array.isArray(answer.headers)) {
    const { method, url, headers } = answer;
    return { tag: "send", val: { method, url, headers, body: toBody(answer) } };
  }
  if (answer instanceof Skip) return { tag: "skip", val: answer.reason };
  if (typeof answer?.then === "function") {
    throw new PluginError("async_transform", "the transform returned a promise, but a plugin has nothing to wait for; make it a plain function");
  }
  throw new PluginError("no_decision", "the transform returned neither a request nor skip(reason); return { ...draft, json: … }");
}

function toBody({ json, text, bytes, body }) {
  if (json !== undefined && text === undefined && bytes === undefined) return { tag: "json", val: stringify(json) };
  const given = (json !== undefined) + (text !== undefined) + (bytes !== undefined);
  if (given > 1) {
    const names = Object.entries({ json, text, bytes }).filter(([, value]) => value !== undefined).map(([name]) => name);
    throw new PluginError("two_bodies", `the request has more than one body: ${names.join(", ")}`);
  }
  if (text !== undefined) return { tag: "text", val: String(text) };
  if (bytes !== undefined) return { tag: "bytes", val: bytes };
  return body ?? { tag: "empty" };
}
