import type { Description, Judge, Plugin, Request, Words } from "hookmill-sdk";

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

/** What came of asking a judge. Where it threw, the host judges by the status. */
export interface Judged {
  verdict?: { tag: "delivered" } | { tag: "retry"; val: number | null } | { tag: "dead"; val: string };
  error?: unknown;
  /** The lines that it logged, each with its level in front. */
  log: string[];
}

/** Asks a judge what an answer means, for an event in the same form. */
export function callJudge(
  judge: Judge,
  envelope: string | object,
  answer: { status: number; headers?: [name: string, value: string][]; body?: string | Uint8Array },
  given?: { settings?: unknown },
): Judged;

/** Returns what a plugin says of itself. */
export function callDescribe(description: Description): Words;

/** Returns everything that a plugin finds wrong with settings. */
export function callValidateSettings(
  description: Description,
  settings: unknown,
): { problems: { code: string; message: string; path: string | null }[]; log: string[] };
