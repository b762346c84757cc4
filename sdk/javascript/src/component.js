// Makes the component, on Node.js: `node node_modules/hookmill-sdk/src/component.js src/plugin.js --module-root .`
//
// The plugin's module says which of the contract's interfaces the component exports: what it exports as `response` or
// `describe` stands in the component, and nothing else does. What follows the module goes to componentize-qjs.

import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const WORLDS = { "": "plugin", response: "judging-plugin", describe: "describing-plugin", "response describe": "full-plugin" };

// Each interface with its first function and what makes it.
const INTERFACES = {
  transform: ["transform", "plugin(…)"],
  response: ["judge", "judge(…)"],
  describe: ["describe", "description(…)"],
};

export function world(module) {
  const exported = Object.keys(INTERFACES).filter((name) => name === "transform" || module[name] !== undefined);
  for (const name of exported) {
    const [method, maker] = INTERFACES[name];
    if (typeof module[name]?.[method] !== "function") {
      throw new TypeError(`the plugin's module has to have \`export const ${name} = ${maker}\``);
    }
  }
  return WORLDS[exported.slice(1).join(" ")];
}

async function build(file, others) {
  const chosen = world(await import(pathToFileURL(resolve(file))));
  // The tool belongs to the project; the SDK may be linked from elsewhere.
  const tool = createRequire(resolve("package.json")).resolve("componentize-qjs");
  const { runCli } = await import(pathToFileURL(tool));
  const wit = fileURLToPath(new URL("../wit", import.meta.url));
  return runCli(["--wit", wit, "--world", chosen, "--js", file, "--sync", "-o", "component.wasm", ...others]);
}

const [, script, file, ...others] = process.argv;
if (script && import.meta.url === pathToFileURL(realpathSync(script)).href) {
  if (!(await build(file, others))) process.exitCode = 1;
}
