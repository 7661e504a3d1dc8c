import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

/**
 * A series of files `<name>-000001.ndjson`, `<name>-000002.ndjson`, …
 *
 * The open one ends in `.part` and gets its name when it is complete, so a reader never sees half a file. A `.part`
 * that a killed process left is completed under its name first: its whole lines are data.
 */
export class RotatingFile {
  readonly #folder: string;
  readonly #name: string;
  readonly #limit: number;
  #descriptor: number | null = null;
  #number: number;
  #bytes = 0;

  constructor(folder: string, type: string, limit: number) {
    mkdirSync(folder, { recursive: true });
    this.#folder = folder;
    this.#name = fileName(type);
    this.#limit = limit;
    this.#number = this.#last();
    if (existsSync(this.#path(this.#number + 1, ".part"))) this.#complete(this.#number + 1);
  }

  /** Append a line; rotates first when the line would not fit. */
  write(line: string): void {
    const data = Buffer.from(line + "\n");
    if (this.#descriptor !== null && this.#bytes + data.length > this.#limit) this.close();
    this.#descriptor ??= openSync(this.#path(this.#number + 1, ".part"), "wx");
    let written = 0;
    while (written < data.length) written += writeSync(this.#descriptor, data, written);
    this.#bytes += data.length;
  }

  /** Complete the open file. */
  close(): void {
    if (this.#descriptor === null) return;
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
    this.#descriptor = null;
    this.#bytes = 0;
    this.#complete(this.#number + 1);
  }

  #complete(number: number): void {
    renameSync(this.#path(number, ".part"), this.#path(number, ""));
    this.#number = number;
  }

  #path(number: number, suffix: string): string {
    return join(this.#folder, `${this.#name}-${String(number).padStart(6, "0")}.ndjson${suffix}`);
  }

  #last(): number {
    const numbers = readdirSync(this.#folder)
      .filter((file) => file.startsWith(`${this.#name}-`) && file.endsWith(".ndjson"))
      .map((file) => Number(file.slice(this.#name.length + 1, -".ndjson".length)))
      .filter((number) => Number.isInteger(number));
    return Math.max(0, ...numbers);
  }
}

/** A file name for an event type; characters that a path could read otherwise are written as %XX. */
export function fileName(type: string): string {
  return encodeURIComponent(type).replace(/^\./, "%2E");
}
