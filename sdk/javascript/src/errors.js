// Why a plugin can't do its work, and how that reaches the delivery's log.

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
