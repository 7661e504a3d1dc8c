import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";
import { ConfigError, readConfig } from "../src/config.js";
import { fileName } from "../src/rotating-file.js";
import { drain, InvalidEventError } from "../src/sink.js";

const transfer = (amount: string) => JSON.stringify({ type: "transfer", asset: "USDC", amount });

async function run(lines: string[], flags: string[], warnings: string[] = []) {
  const input = Readable.from([lines.map((line) => line + "\n").join("")]);
  return drain(input, readConfig(flags, {}), (text) => warnings.push(text));
}

describe("the archive", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "event-archive-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test("keeps every line, one series a type", async () => {
    const window = JSON.stringify({ type: "transfer_window", total: "1.5" });
    await run([transfer("1"), window, transfer("2")], ["--output-dir", folder]);
    assert.deepEqual(readdirSync(folder).sort(), ["transfer-000001.ndjson", "transfer_window-000001.ndjson"]);
    assert.equal(readFileSync(join(folder, "transfer-000001.ndjson"), "utf8"), `${transfer("1")}\n${transfer("2")}\n`);
  });

  test("rotates before a file grows too large", async () => {
    const line = transfer("1");
    const limit = String(2 * (line.length + 1));
    await run([line, line, line], ["--output-dir", folder, "--rotate-bytes", limit]);
    assert.deepEqual(readdirSync(folder).sort(), ["transfer-000001.ndjson", "transfer-000002.ndjson"]);
  });

  test("goes on after the last file of an earlier run", async () => {
    await run([transfer("1")], ["--output-dir", folder]);
    await run([transfer("2")], ["--output-dir", folder]);
    assert.equal(readFileSync(join(folder, "transfer-000002.ndjson"), "utf8"), transfer("2") + "\n");
  });

  test("completes what a killed run left", async () => {
    writeFileSync(join(folder, "transfer-000001.ndjson.part"), transfer("7") + "\n");
    await run([transfer("8")], ["--output-dir", folder]);
    assert.deepEqual(readdirSync(folder).sort(), ["transfer-000001.ndjson", "transfer-000002.ndjson"]);
    assert.equal(readFileSync(join(folder, "transfer-000001.ndjson"), "utf8"), transfer("7") + "\n");
  });

  test("completes its files when a line is invalid and that is fatal", async () => {
    await assert.rejects(
      run([transfer("1"), "{"], ["--output-dir", folder, "--on-invalid", "fail"]),
      (error: Error) => error instanceof InvalidEventError && error.message.startsWith("line 2: "),
    );
    assert.deepEqual(readdirSync(folder), ["transfer-000001.ndjson"]);
  });
});

describe("the summary", () => {
  test("counts and totals each type", async () => {
    const summary = await run([transfer("10.5"), transfer("4.5")], ["--sum-field", "amount"]);
    assert.deepEqual(summary.types, { transfer: { events: 2, sum: "15.0000000" } });
  });

  test("counts lines that are no events, and says where they are", async () => {
    const warnings: string[] = [];
    const summary = await run(["nonsense", "[]", '{"type":""}', "", transfer("1")], [], warnings);
    assert.equal(summary.invalid, 3);
    assert.equal(summary.events, 1);
    assert.equal(warnings.length, 3);
    assert.match(warnings[0]!, /^line 1 skipped: /);
  });
});

describe("settings", () => {
  test("a flag beats the environment", () => {
    assert.equal(readConfig(["--rotate-bytes", "10"], { ROTATE_BYTES: "20" }).rotateBytes, 10);
    assert.equal(readConfig([], { ROTATE_BYTES: "20" }).rotateBytes, 20);
  });

  test("a bad value names its flag and variable", () => {
    assert.throws(() => readConfig(["--on-invalid", "explode"], {}), (error: Error) => {
      return error instanceof ConfigError && error.message.startsWith("--on-invalid (ON_INVALID): ");
    });
  });
});

test("a type cannot leave the folder", () => {
  assert.equal(fileName("../../etc/passwd"), "%2E.%2F..%2Fetc%2Fpasswd");
});
