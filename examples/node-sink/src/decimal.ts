const PLACES = 7;
const FORM = /^(-?)(\d{1,30})(?:\.(\d{1,7}))?$/;

/** A decimal as a whole number of 10⁻⁷, so that sums are exact; null when it is none. */
export function parseDecimal(value: unknown): bigint | null {
  const text = typeof value === "number" ? String(value) : value;
  const match = typeof text === "string" ? FORM.exec(text) : null;
  if (match === null) return null;
  const units = BigInt(match[2]! + (match[3] ?? "").padEnd(PLACES, "0"));
  return match[1] === "-" ? -units : units;
}

/** The decimal with all its places: 15.0000000. */
export function formatDecimal(units: bigint): string {
  const digits = (units < 0n ? -units : units).toString().padStart(PLACES + 1, "0");
  return `${units < 0n ? "-" : ""}${digits.slice(0, -PLACES)}.${digits.slice(-PLACES)}`;
}
