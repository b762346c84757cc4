// Numbers in the document's own spelling: JSON.parse forgets that 1250.0 was not 1250, and rounds what has many digits.

import { PluginError } from "./errors.js";

export class ExactNumber {
  constructor(text) {
    this.source = text;
  }

  get text() {
    return this.source;
  }

  valueOf() {
    return Number(this.source);
  }

  toString() {
    return this.source;
  }

  toJSON() {
    return hasSource ? rawJSON(this.source) : Number(this.source);
  }
}

// Components run on an engine that tells a number's source text; Node.js does from version 21 on.
const { rawJSON } = JSON;
const hasSource = typeof rawJSON === "function";

export function parse(text) {
  return hasSource ? JSON.parse(text, exact) : parseMarked(text);
}

// The engine makes a context for each value anyway, with the source in it: to make that the number costs half of a new one.
function exact(_, value, context) {
  return typeof value === "number" ? setPrototypeOf(context, prototype) : value;
}

const { setPrototypeOf } = Object;
const { prototype } = ExactNumber;

export function stringify(value) {
  let text;
  try {
    text = hasSource ? JSON.stringify(value) : stringifyMarked(value);
  } catch (error) {
    throw new PluginError("body_unwritable", `the body can't be written as JSON: ${error.message}`);
  }
  if (text === undefined) {
    throw new PluginError("body_unwritable", `the body can't be written as JSON: it is a ${typeof value}`);
  }
  return text;
}

// The older way, for tests: numbers pass through the engine as strings with a mark that no other string has.

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

function parseMarked(text) {
  JSON.parse(text);
  let mark = "number:";
  while (text.includes(mark)) mark += ":";
  const marked = text.replace(TOKEN, (token) => (token.startsWith('"') ? token : `"${mark}${token}"`));
  const unmark = (_, value) =>
    typeof value === "string" && value.startsWith(mark) ? new ExactNumber(value.slice(mark.length)) : value;
  return JSON.parse(marked, unmark);
}

function stringifyMarked(value) {
  for (let mark = "number:"; ; mark += ":") {
    let numbers = 0;
    const marked = JSON.stringify(value, function (key, plain) {
      if (!(this[key] instanceof ExactNumber)) return plain;
      numbers += 1;
      return mark + this[key].source;
    });
    if (numbers === 0) return marked;
    let found = 0;
    const text = marked.replace(new RegExp(`"${mark}([^":]*)"`, "g"), (_, number) => {
      found += 1;
      return number;
    });
    if (found === numbers) return text;
  }
}
