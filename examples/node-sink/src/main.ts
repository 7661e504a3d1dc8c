#!/usr/bin/env node
import metadata from "../metadata.json" with { type: "json" };
import { ConfigError, readConfig } from "./config.js";
import { drain, InvalidEventError } from "./sink.js";

async function main(argv: string[]): Promise<number> {
  if (argv.includes("--describe-json")) {
    process.stdout.write(JSON.stringify(metadata, null, 2) + "\n");
    return 0;
  }
  try {
    const config = readConfig(argv, process.env);
    // A signal takes the same way out as the end of the input: what was read is written.
    const stop = new AbortController();
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
    const summary = await drain(process.stdin, config, (text) => console.error(text), stop.signal);
    process.stdin.destroy();
    process.stdout.write(JSON.stringify(summary) + "\n");
    return 0;
  } catch (error) {
    if (error instanceof ConfigError || error instanceof InvalidEventError) {
      console.error(`event-archive: ${error.message}`);
      return error instanceof ConfigError ? 2 : 1;
    }
    if (error instanceof Error && "code" in error) {
      console.error(`event-archive: ${error.message}`);
      return 1;
    }
    throw error;
  }
}

// No await out here: a single executable's script is CommonJS.
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
