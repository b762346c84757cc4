/** Exports a function as the plugin: `export const transform = plugin(…)`, in the module that is componentized. */
export function plugin<S extends Shape>(
  transform: (event: Event, draft: Request, settings: Shaped<S>) => Request | Skip,
  options: { settings: S },
): Plugin;
export function plugin(
  transform: (event: Event, draft: Request, settings: Record<string, unknown>) => Request | Skip,
): Plugin;

/** What the component exports. */
export interface Plugin {
  transform(event: unknown, draft: unknown, settings: string): unknown;
}

/** Something that happened to a document. Documents are parsed when they are first asked for. */
export class Event {
  private constructor();
  /** The event's id, the same on every try. */
  readonly id: string;
  /** Whose event it is. */
  readonly tenant: string;
  /** The kind of document, for example `Quotation`. */
  readonly doctype: string;
  /** What happened, for example `on_update`. */
  readonly docEvent: string;
  /** The document's name; empty if it has none. */
  readonly docName: string;
  /** When it happened, in RFC 3339. */
  readonly occurredAt: string;
  /** The document with ordinary numbers: `1250.0` becomes 1250, and many digits are rounded. */
  readonly doc: unknown;
  /** The document with each number as an {@link ExactNumber}, which is written as the document spells it. */
  readonly exact: unknown;
  /** The document in the publisher's own text. */
  readonly docText: string;
  /** The document before the change, if the publisher sent it. */
  readonly before: unknown;
  /** Its text. */
  readonly beforeText: string | undefined;
  /** Returns what the publisher or the host adds under `key`, for example `user`. */
  meta(key: string): string | undefined;
}

/** A request: the draft, with what is to differ. At most one of `json`, `text` and `bytes` takes the place of `body`. */
export interface Request {
  method: string;
  url: string;
  /** Names and values in order; a name may stand more than once. */
  headers: [name: string, value: string][];
  /** The draft's body: empty unless the webhook has data rows or a template. */
  body?: { tag: "empty" } | { tag: "json" | "text"; val: string } | { tag: "bytes"; val: Uint8Array };
  /** Sent as `application/json`. */
  json?: unknown;
  /** Sent as `text/plain; charset=utf-8`. */
  text?: string;
  /** Sent as `application/octet-stream`. */
  bytes?: Uint8Array;
}

/** The decision to send nothing. */
export interface Skip {
  readonly reason: string;
}

/** Decides to send nothing, and says why. */
export function skip(reason: string): Skip;

/** Writes to the attempt's log. In a component, `console.log` and its kin do the same. */
export const log: Record<"debug" | "info" | "warn" | "error", (message: unknown) => void>;

/** Ends the call with a stable word and a sentence for whoever has to mend it. Any other error is passed on with its stack. */
export class PluginError extends Error {
  /** `path` says where, as a JSON pointer such as `/items/0/qty`. */
  constructor(code: string, message: string, path?: string);
  readonly code: string;
  readonly path?: string;
}

/** Blames the document. */
export class BadDocument extends PluginError {}

/** Blames the webhook's settings for this plugin. */
export class BadSettings extends PluginError {}

/** A number in the document's own spelling. JSON writes it unchanged, `${n}` shows it, `Number(n)` reckons with it. */
export class ExactNumber {
  constructor(text: string);
  readonly text: string;
  valueOf(): number;
  toString(): string;
}

/** Writes JSON with every {@link ExactNumber} as it is spelled, as a request's `json` is written. */
export function stringify(value: unknown): string;

/** What a document or settings must look like. `exact` is a number of `event.exact`, `number` one of `event.doc`. */
export type Shape = Word | Optional<unknown> | readonly [unknown] | { readonly [field: string]: unknown };
type Word = "string" | "number" | "exact" | "boolean" | "any";

/** A shape that may be missing or null. */
export interface Optional<S> {
  readonly shape: S;
}

/** Lets a part of a shape be missing or null. */
export function optional<const S extends Shape>(shape: S): Optional<S>;

/** What fits a shape. */
export type Shaped<S> = S extends "string" ? string
  : S extends "number" ? number
  : S extends "exact" ? ExactNumber
  : S extends "boolean" ? boolean
  : S extends "any" ? unknown
  : S extends Optional<infer T> ? Shaped<T> | null | undefined
  : S extends readonly [infer T] ? Shaped<T>[]
  : { -readonly [K in keyof S]: Shaped<S[K]> };

/**
 * Returns a document once it fits a shape; fields that the shape does not name are left alone.
 * Throws {@link BadDocument} with the code `document_mismatch` and the place.
 */
export function check<const S extends Shape>(doc: unknown, shape: S): Shaped<S>;
