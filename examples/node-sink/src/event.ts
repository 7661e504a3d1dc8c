import { z } from "zod";

const schema = z.looseObject({ type: z.string().min(1).max(200) });

export type Event = z.infer<typeof schema>;

/** The event in a line, or why it is none. */
export function parseEvent(line: string): Event | { problem: string } {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    return { problem: (error as Error).message };
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  return { problem: `${issue.path.join(".") || "event"}: ${issue.message}` };
}

/** True for the answer of parseEvent that is no event. */
export function isProblem(answer: Event | { problem: string }): answer is { problem: string } {
  return !("type" in answer);
}

/** The value at a dotted path, undefined when the path leads nowhere. */
export function fieldOf(event: Event, path: string): unknown {
  let value: unknown = event;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
