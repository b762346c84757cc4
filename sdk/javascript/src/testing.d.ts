import type { Plugin, Request } from "hookmill-sdk";

/** What came of a call: a request, a skip or a failure. */
export interface Outcome {
  /** The request; its body is text, or bytes. */
  request?: { method: string; url: string; headers: [string, string][]; body: string | Uint8Array | undefined };
  /** Why nothing is sent. */
  skipped?: string;
  /** Why the plugin can't do its work. */
  failure?: { kind: "bad-document" | "bad-settings" | "other"; code: string; message: string; path: string | null };
  /** The lines that it logged, each with its level in front. */
  log: string[];
}

/**
 * Calls a plugin as the host does, with an event in the form that `POST /v1/events` takes.
 * Given as text, the document keeps the spelling of its numbers.
 */
export function call(
  plugin: Plugin,
  envelope: string | object,
  given?: { settings?: unknown; draft?: Partial<Request> },
): Outcome;
