// Holds documents and settings against a shape, and says where they differ as a JSON pointer.

import { BadDocument, BadSettings } from "./errors.js";
import { ExactNumber } from "./exact.js";

export class Optional {
  constructor(shape) {
    this.shape = shape;
  }
}

export function optional(shape) {
  return new Optional(shape);
}

export function check(doc, shape) {
  const wrong = mismatch(doc, shape);
  if (wrong) {
    throw new BadDocument("document_mismatch", `the document doesn't fit this plugin: ${wrong.message}`, wrong.path || undefined);
  }
  return doc;
}

export function checkSettings(text, shape) {
  const settings = ["", "null"].includes(text.trim()) ? {} : JSON.parse(text);
  if (!shape) return settings;
  const wrong = unknownField(settings, shape) ?? mismatch(settings, shape);
  if (wrong) {
    throw new BadSettings("settings_mismatch", `the webhook's settings don't fit this plugin: ${wrong.message}`, wrong.path || undefined);
  }
  return settings;
}

function unknownField(settings, shape) {
  for (const field in settings) {
    if (!Object.hasOwn(shape, field)) return { message: `unknown field \`${field}\``, path: `/${escape(field)}` };
  }
  return undefined;
}

// Returns what is wrong with the first place that differs; its path is made on the way back, for most values fit.
function mismatch(value, shape) {
  if (shape instanceof Optional) return value === undefined || value === null ? undefined : mismatch(value, shape.shape);
  if (typeof shape === "string") return fits(value, shape) ? undefined : differs(WORDS[shape], value);
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return differs("an array", value);
    for (let index = 0; index < value.length; index++) {
      const wrong = mismatch(value[index], shape[0]);
      if (wrong) return below(index, wrong);
    }
    return undefined;
  }
  if (kind(value) !== "an object") return differs("an object", value);
  for (const field in shape) {
    let wanted = shape[field];
    const found = value[field];
    if (wanted instanceof Optional) {
      if (found === undefined || found === null) continue;
      wanted = wanted.shape;
    }
    // Most fields are simple and fit; only the others are worth a call.
    if (wanted === "exact" ? found?.constructor === ExactNumber : typeof found === wanted && wanted !== "object") continue;
    if (found === undefined) return { message: `missing field \`${field}\``, path: "" };
    const wrong = mismatch(found, wanted);
    if (wrong) return below(escape(field), wrong);
  }
  return undefined;
}

function below(step, { message, path }) {
  return { message, path: `/${step}${path}` };
}

const WORDS = { string: "a string", number: "a number", exact: "a number", boolean: "a boolean", any: "a value" };

function fits(value, word) {
  switch (word) {
    case "exact":
      return value instanceof ExactNumber;
    case "any":
      return value !== undefined;
    case "string":
    case "number":
    case "boolean":
      return typeof value === word;
    default:
      throw new TypeError(`a shape has no word "${word}"; it has string, number, exact, boolean and any`);
  }
}

function differs(expected, value) {
  return { message: `expected ${expected}, found ${kind(value)}`, path: "" };
}

function kind(value) {
  if (value === null) return "null";
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  if (value instanceof ExactNumber) return "a number";
  return WORDS[typeof value] ?? "an object";
}

function escape(key) {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
