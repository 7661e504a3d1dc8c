import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../src/main.js", import.meta.url));
const run = (flags: string[], input = "") => spawnSync(process.execPath, [main, ...flags], { input, encoding: "utf8" });

test("describes itself with metadata.json, which agrees with package.json", () => {
  const described = JSON.parse(run(["--describe-json"]).stdout);
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  assert.equal(described.type, "sink");
  assert.equal(described.name, manifest.name);
  assert.equal(described.version, manifest.version);
});

test("drains at the end of the input and exits with 0", () => {
  const done = run([], '{"type":"a"}\n{"type":"a"}');
  assert.equal(done.status, 0);
  assert.equal(JSON.parse(done.stdout).events, 2);
});

test("an unknown flag ends with 2 and its name", () => {
  const done = run(["--colour", "red"]);
  assert.equal(done.status, 2);
  assert.match(done.stderr, /--colour/);
});

test("SIGTERM writes what was read", async () => {
  const child = spawn(process.execPath, [main], { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  // The warning proves that the first two lines were read before the signal.
  child.stdin.write('{"type":"a"}\nnonsense\n');
  await once(child.stderr, "data");
  child.kill("SIGTERM");
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
  assert.equal(JSON.parse(output).events, 1);
});
