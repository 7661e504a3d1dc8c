import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDecimal, parseDecimal } from "../src/decimal.js";

test("sums are exact where floating point is not", () => {
  const sum = parseDecimal("0.1")! + parseDecimal("0.2")!;
  assert.equal(formatDecimal(sum), "0.3000000");
});

test("negative amounts keep their sign", () => {
  assert.equal(formatDecimal(parseDecimal("-0.5")!), "-0.5000000");
});

test("what is no decimal is null", () => {
  for (const value of ["", "1e9", "1.12345678", "NaN", null, undefined, {}]) assert.equal(parseDecimal(value), null);
});
