// Why a plugin can't do its work, and how that reaches the delivery's log.

import { log } from "./log.js";

export class PluginError extends Error {
  constructor(code, message, path) {
    super(message);
    this.name = new.target.name;
    this.code = code;
    this.path = path;
  }
}

export class BadDocument extends PluginError {}

export class BadSettings extends PluginError {}

// Returns the contract's failure, and the stack of an error that the author did not foresee.
export function toFailure(error) {
  if (error instanceof PluginError) {
    const { code, message, path } = error;
    return { failure: { tag: tagOf(error), val: { code, message, path: path ?? null } } };
  }
  const stack = describe(error);
  return { failure: { tag: "other", val: { code: "uncaught_error", message: stack, path: null } }, stack };
}

// Runs what has no way to tell a failure to the host: its words go to the log, and the trap that follows ends the call.
export function reporting(run) {
  try {
    return run();
  } catch (error) {
    const { failure, stack } = toFailure(error);
    const { code, message, path } = failure.val;
    log.error(stack ?? `${code}: ${message}${path === null ? "" : ` (at ${path})`}`);
    throw error;
  }
}

function tagOf(error) {
  if (error instanceof BadDocument) return "bad-document";
  return error instanceof BadSettings ? "bad-settings" : "other";
}

// Some engines put the message in front of the stack, others leave it out.
function describe(error) {
  const words = String(error);
  const stack = String(error?.stack ?? "").trimEnd();
  if (stack === "") return words;
  return stack.startsWith(words) ? stack : `${words}\n${stack}`;
}
