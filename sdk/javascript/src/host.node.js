// The host's half in an ordinary Node.js process, for tests: lines go to stderr, or to whoever collects them.

let lines;

export function write(level, message) {
  if (lines) lines.push(`${level}: ${message}`);
  else process.stderr.write(`${level}: ${message}\n`);
}

// Runs `run` and returns its result with what was logged meanwhile.
export function collect(run) {
  const outer = lines;
  lines = [];
  try {
    return { result: run(), log: lines };
  } finally {
    lines = outer;
  }
}
