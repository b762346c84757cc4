// What a plugin says of itself, and its own checks of settings.

import { checkSettings } from "./check.js";
import { PluginError, toFailure } from "./errors.js";
import { log } from "./log.js";

export function description(words, options = {}) {
  // Made while the component is built, so that a call has nothing left to do.
  const text = JSON.stringify(words);
  return {
    describe: () => text,
    validateSettings(settings) {
      const problems = problemsOf(settings, options);
      if (problems.length > 0) throw problems;
    },
  };
}

// Whatever is thrown refuses the settings: a plugin that can't check them has not taken them.
function problemsOf(settings, { settings: shape, validate }) {
  try {
    const found = validate?.(checkSettings(settings, shape)) ?? [];
    const stranger = found.find((problem) => !(problem instanceof PluginError));
    if (stranger !== undefined) throw new TypeError(`validate returned ${stranger}, which is no BadSettings`);
    return found.map(toProblem);
  } catch (error) {
    return [toProblem(error)];
  }
}

function toProblem(error) {
  const { failure, stack } = toFailure(error);
  if (stack) log.error(stack);
  return failure.val;
}
