// Numbers as readers see them. Needs no page.

// Two decimals, and fewer where the number is large.
export function decimal(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

// Two decimals, and more where the number is small, so that not all is 0.00.
export function nats(value) {
  const size = Math.abs(value);
  if (size < 0.00005) return "0";
  if (size < 0.00095) return value.toFixed(4);
  return value.toFixed(size < 0.095 ? 3 : 2);
}

const signOf = (value) => (value < 0 ? "−" : "+"); // a minus as wide as the plus

export function signedNats(value) {
  const size = nats(Math.abs(value));
  return size === "0" ? size : signOf(value) + size;
}

// A share as a percentage; what is not quite all is not called all.
export function asPercent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return "< 0.1%";
  if (value > 99.9 && share < 1) return "> 99.9%";
  return `${value.toFixed(value < 9.95 || value > 99 ? 1 : 0)}%`;
}

// Of any size: two digits above 0.01, and below it one digit times a power of ten.
export function scientific(value) {
  if (value === 0) return "0";
  if (value >= 10) return value.toFixed(0);
  if (value >= 0.01) return value.toFixed(value >= 1 ? 1 : 2);
  const [digit, exponent] = value.toExponential(0).split("e");
  return `${digit} × ${powerOfTen(+exponent)}`;
}

const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";
export const powerOfTen = (exponent) => "10" + (exponent < 0 ? "⁻" : "")
  + [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[digit]).join("");

// With its sign, to two decimals, or one where the number is large.
export function signed(value) {
  const size = Math.abs(value);
  return signOf(value) + size.toFixed(size < 9.95 ? 2 : 1);
}
