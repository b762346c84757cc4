// The host's half inside a component. On Node.js, host.node.js stands in its place.

import log from "hookmill:plugin/log@1.0.0";

export function write(level, message) {
  log.log(level, message);
}

const words = (parts) => parts.map((part) => (typeof part === "string" ? part : shown(part))).join(" ");

function shown(value) {
  if (value instanceof Error) return `${value}\n${value.stack}`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

// The engine has no console; what is printed belongs into the attempt's log.
globalThis.console ??= {
  debug: (...parts) => write("debug", words(parts)),
  log: (...parts) => write("info", words(parts)),
  info: (...parts) => write("info", words(parts)),
  warn: (...parts) => write("warn", words(parts)),
  error: (...parts) => write("error", words(parts)),
};
