// Random numbers that a seed settles. The streams are the trainer's own, not torch's.
// Needs no page.

// Uniform from 0 up to 1: Mulberry32 (Ettinger 2017), which any seed may start. A model's weights,
// its data and a null take `stream` each, so that none of them shares another's numbers.
export function makeRandom(seed, stream = 0) {
  let state = mixed(mixed(seed >>> 0) + stream);
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    return mixed(state) / 2 ** 32;
  };
}

function mixed(number) {
  let bits = number >>> 0;
  bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return (bits ^ (bits >>> 14)) >>> 0;
}

// From a normal distribution, mean 0 and standard deviation 1 (Box and Muller 1958).
export const normal = (random) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

// A whole number from 0 up to `count`.
export const wholeNumber = (random, count) => Math.floor(random() * count);

// The items in random order (Fisher and Yates).
export function shuffled(random, items) {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const other = wholeNumber(random, i + 1);
    [order[i], order[other]] = [order[other], order[i]];
  }
  return order;
}
