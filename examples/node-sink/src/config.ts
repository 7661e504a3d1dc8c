import { parseArgs } from "node:util";
import { z } from "zod";

/** A setting that cannot be used; the message is for people. */
export class ConfigError extends Error {}

const schema = z.object({
  outputDir: z.string(),
  rotateBytes: z.coerce.number().int().positive(),
  sumField: z.string().regex(/^([\w-]+(\.[\w-]+)*)?$/, "must be a dotted path such as payload.amount"),
  onInvalid: z.enum(["skip", "fail"]),
});

export type Config = z.infer<typeof schema>;

const FLAGS = {
  outputDir: { flag: "output-dir", variable: "OUTPUT_DIR", fallback: "" },
  rotateBytes: { flag: "rotate-bytes", variable: "ROTATE_BYTES", fallback: String(64 * 1024 * 1024) },
  sumField: { flag: "sum-field", variable: "SUM_FIELD", fallback: "" },
  onInvalid: { flag: "on-invalid", variable: "ON_INVALID", fallback: "skip" },
} as const;

/** Settings from flags, then environment variables, then defaults. Throws ConfigError. */
export function readConfig(argv: string[], environment: NodeJS.ProcessEnv): Config {
  const options = Object.fromEntries(Object.values(FLAGS).map(({ flag }) => [flag, { type: "string" as const }]));
  let values: Record<string, unknown>;
  try {
    values = parseArgs({ args: argv, options, allowPositionals: false }).values;
  } catch (error) {
    throw new ConfigError((error as Error).message);
  }
  const given = Object.fromEntries(
    Object.entries(FLAGS).map(([key, { flag, variable, fallback }]) => [
      key,
      values[flag] ?? environment[variable] ?? fallback,
    ]),
  );
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const { flag, variable } = FLAGS[issue.path[0] as keyof typeof FLAGS];
  throw new ConfigError(`--${flag} (${variable}): ${issue.message}`);
}
