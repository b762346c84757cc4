// Holds documents and settings against a shape, and says where they differ as a JSON pointer.

import { BadDocument, BadSettings } from "./errors.js";
import { ExactNumber } from "./exact.js";

class Optional {
  constructor(shape) {
    this.shape = shape;
  }
}

export function optional(shape) {
  return new Optional(shape);
}

export function check(doc, shape) {
  const wrong = mismatch(doc, shape, "");
  if (wrong) throw new BadDocument("document_mismatch", `the document doesn't fit this plugin: ${wrong.message}`, wrong.path);
  return doc;
}

export function checkSettings(text, shape) {
  const settings = ["", "null"].includes(text.trim()) ? {} : JSON.parse(text);
  if (!shape) return settings;
  const unknown = Object.keys(settings).find((key) => !Object.hasOwn(shape, key));
  const wrong = unknown === undefined
    ? mismatch(settings, shape, "")
    : { message: `unknown field \`${unknown}\``, path: `/${escape(unknown)}` };
  if (wrong) {
    throw new BadSettings("settings_mismatch", `the webhook's settings don't fit this plugin: ${wrong.message}`, wrong.path);
  }
  return settings;
}

function mismatch(value, shape, path) {
  if (shape instanceof Optional) return value === undefined || value === null ? undefined : mismatch(value, shape.shape, path);
  if (typeof shape === "string") return fits(value, shape) ? undefined : differs(WORDS[shape], value, path);
  if (Array.isArray(shape)) {
    if (!Array.isArray(value)) return differs("an array", value, path);
    for (let index = 0; index < value.length; index++) {
      const wrong = mismatch(value[index], shape[0], `${path}/${index}`);
      if (wrong) return wrong;
    }
    return undefined;
  }
  if (kind(value) !== "an object") return differs("an object", value, path);
  for (const field in shape) {
    const wanted = shape[field];
    const found = value[field];
    // Most fields are simple and fit; only the others are worth a path.
    if (typeof wanted === "string" && fits(found, wanted)) continue;
    if (found === undefined && !(wanted instanceof Optional)) return { message: `missing field \`${field}\``, path: path || undefined };
    const wrong = mismatch(found, wanted, `${path}/${escape(field)}`);
    if (wrong) return wrong;
  }
  return undefined;
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

function differs(expected, value, path) {
  return { message: `expected ${expected}, found ${kind(value)}`, path: path || undefined };
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
