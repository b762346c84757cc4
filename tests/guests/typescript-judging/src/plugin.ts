// A plugin with every optional part of the contract: it judges answers, describes itself and checks its settings.

import { BadSettings, byStatus, dead, delivered, description, judge, log, optional, plugin, retry } from "hookmill-sdk";

const SETTINGS = { channel: "string", url: optional("string"), method: optional("string") } as const;

export const transform = plugin(
  (event, draft, { channel, url, method }) => ({
    method: method ?? draft.method,
    url: url ?? draft.url,
    headers: [...draft.headers, ["x-sign", 'Bearer secret("chat-token")']],
    json: { channel, seen: event.docText },
  }),
  { settings: SETTINGS },
);

// Chat services answer 200 and say in the body that they failed.
export const response = judge(
  (_event, response) => {
    const body = response.text ?? "";
    log.info(`judged ${response.status} ${body}`);
    if (response.status === 409) return delivered();
    if (response.status !== 200) return byStatus(response);
    if (body.includes("no_such_channel")) return dead("there is no such channel");
    if (body.includes("slow_down")) return retry(3_600);
    if (body.includes("panic")) panic();
    return byStatus(response);
  },
  { settings: SETTINGS },
);

function panic(): never {
  throw new Error("panicked in judge");
}

export const describe = description(
  {
    name: "judging",
    version: "1.2.3",
    description: "Sends chat messages",
    settings: {
      type: "object",
      required: ["channel"],
      additionalProperties: false,
      properties: { channel: { type: "string" }, url: { type: "string" }, method: { type: "string" } },
    },
  },
  {
    settings: SETTINGS,
    validate({ channel }) {
      if (channel.startsWith("#")) return undefined;
      const message = `a channel begins with #, and ${JSON.stringify(channel)} does not`;
      return [new BadSettings("no_channel", message, "/channel")];
    },
  },
);
