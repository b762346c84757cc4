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

/** Exports a function as the judge of receivers' answers: `export const response = judge(…)`, in the same module. */
export function judge<S extends Shape>(
  verdict: (event: Event, response: Response, settings: Shaped<S>) => Verdict,
  options: { settings: S },
): Judge;
export function judge(
  verdict: (event: Event, response: Response, settings: Record<string, unknown>) => Verdict,
): Judge;

/** What the component exports as `response`. */
export interface Judge {
  judge(event: unknown, status: number, headers: unknown, body: Uint8Array, settings: string): unknown;
}

/** What a receiver answered. */
export class Response {
  private constructor();
  /** The HTTP status. */
  readonly status: number;
  /** Names, in lower case, and values. */
  readonly headers: readonly [name: string, value: string][];
  /** The body, up to the 64 KiB that the host reads. */
  readonly body: Uint8Array;
  /** Returns the value of a header, whatever the case of its name. */
  header(name: string): string | undefined;
  /** The body as text, if it is UTF-8. */
  readonly text: string | undefined;
}

/** What an answer means. */
export interface Verdict {
  readonly tag: "delivered" | "retry" | "dead";
}

/** Judges that the receiver has it. */
export function delivered(): Verdict;

/** Judges that it is to be tried again: after so many seconds if given, else as the webhook's schedule has it. */
export function retry(seconds?: number): Verdict;

/** Judges that it is to be given up, and says why. */
export function dead(reason: string): Verdict;

/** Judges as the host does without a plugin's word: 2xx is delivered, 410 ends it, all else is tried again. */
export function byStatus(response: { readonly status: number }): Verdict;

/**
 * Exports what the plugin says of itself: `export const describe = description(…)`, in the same module.
 *
 * When a webhook is saved, its settings are held against the JSON Schema, then against the shape, and then `validate`
 * may return what else is wrong with them, each a {@link BadSettings} with the place.
 */
export function description<S extends Shape>(
  words: Words,
  options: { settings: S; validate?: (settings: Shaped<S>) => PluginError[] | undefined },
): Description;
export function description(
  words: Words,
  options?: { validate?: (settings: Record<string, unknown>) => PluginError[] | undefined },
): Description;

/** A plugin in its author's words. */
export interface Words {
  /** Its name, for people. */
  name: string;
  /** The author's version, for people. */
  version: string;
  /** What it does. */
  description: string;
  /** A JSON Schema that the host holds every webhook's settings against. */
  settings?: object;
}

/** What the component exports as `describe`. */
export interface Description {
  describe(): string;
  validateSettings(settings: string): void;
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
