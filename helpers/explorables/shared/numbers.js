// Sums, places and limits of numbers. Needs no page.

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Bytes from Python as numbers: they arrive at any offset, and a typed array wants one that is a
// multiple of its own size.
export const numbersIn = ({ buffer, byteOffset, byteLength }, Type) =>
  new Type(buffer.slice(byteOffset, byteOffset + byteLength));

// The largest of any number of values, and of `least`. Spread into Math.max, as arguments, a long
// training's values would overflow the stack.
export const largest = (values, least = -Infinity) =>
  values.reduce((most, value) => Math.max(most, value), least);

// The place of the largest by a measure; of equals the first, and -1 of none.
export function indexOfLargest(items, measure = (item) => item) {
  let best = -1, most;
  items.forEach((item, i) => {
    const value = measure(item, i);
    if (best < 0 || value > most) [best, most] = [i, value];
  });
  return best;
}

export const indexOfSmallest = (items, measure) =>
  indexOfLargest(items, (item, i) => -measure(item, i));

export const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// In place: logits become probabilities.
export function softmax(logits) {
  const top = largest(logits);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    const share = Math.exp(logits[i] - top);
    logits[i] = share;
    sum += share; // as it was before a float32 array rounded it
  }
  for (let i = 0; i < logits.length; i++) logits[i] /= sum;
  return logits;
}
