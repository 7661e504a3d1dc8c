import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Config } from "./config.js";
import { formatDecimal, parseDecimal } from "./decimal.js";
import { fieldOf, isProblem, parseEvent } from "./event.js";
import { RotatingFile } from "./rotating-file.js";

/** A line that is no event, where the configuration says that this is fatal. */
export class InvalidEventError extends Error {}

export interface Summary {
  type: "archive_summary";
  events: number;
  invalid: number;
  types: Record<string, { events: number; sum?: string }>;
}

interface Series {
  events: number;
  sum: bigint;
  file: RotatingFile | null;
}

/**
 * Read events until the input ends or `stop` is aborted, and return the summary. Files are complete on return, also
 * after an error.
 */
export async function drain(
  input: Readable,
  config: Config,
  warn: (text: string) => void,
  stop?: AbortSignal,
): Promise<Summary> {
  const series = new Map<string, Series>();
  let number = 0;
  let invalid = 0;
  try {
    const lines = createInterface({ input, crlfDelay: Infinity });
    stop?.addEventListener("abort", () => lines.close());
    for await (const line of lines) {
      number += 1;
      if (line.trim() === "") continue;
      const event = parseEvent(line);
      if (isProblem(event)) {
        if (config.onInvalid === "fail") throw new InvalidEventError(`line ${number}: ${event.problem}`);
        warn(`line ${number} skipped: ${event.problem}`);
        invalid += 1;
        continue;
      }
      let one = series.get(event.type);
      if (one === undefined) {
        const file = config.outputDir ? new RotatingFile(config.outputDir, event.type, config.rotateBytes) : null;
        one = { events: 0, sum: 0n, file };
        series.set(event.type, one);
      }
      one.file?.write(line);
      one.events += 1;
      if (config.sumField) one.sum += parseDecimal(fieldOf(event, config.sumField)) ?? 0n;
    }
  } finally {
    for (const one of series.values()) one.file?.close();
  }
  const sorted = [...series].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    type: "archive_summary",
    events: sorted.reduce((sum, [, one]) => sum + one.events, 0),
    invalid,
    types: Object.fromEntries(
      sorted.map(([type, { events, sum }]) => [type, config.sumField ? { events, sum: formatDecimal(sum) } : { events }]),
    ),
  };
}
