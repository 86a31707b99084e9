// What the model reads, as helpers/sequences has it: a block of distinct tokens, repeated at
// another distance in every sequence, or at one. Needs no page.

import { shuffled, wholeNumber } from "./random.js";

const BOS = 0;
const SHORTEST = 6; // of the periods
const FIXED = 16;

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

// The periods that the training sees, and those that are kept for the test: every fifth.
export function splitPeriods(n_ctx) {
  const periods = range(SHORTEST, Math.floor(n_ctx / 2) + 1);
  return { seen: periods.filter((p) => p % 5 !== 4), unseen: periods.filter((p) => p % 5 === 4) };
}

// The tasks by what the reader calls them: `draw(batch)` gives `tokens`, `targets` and the rows
// that are `determined`, each one sequence behind the other.
export const TASKS = {
  "random periods": (config, random) => (batch) =>
    repeatedBlocks(config, random, batch, splitPeriods(config.n_ctx).seen),
  "one fixed period": (config, random) => (batch) =>
    gathered(config, batch, () => repeated(config, random, 0, FIXED)),
};

// A lead-in of random length, then a block repeated to the end, its length drawn from `periods`.
export function repeatedBlocks({ n_ctx, d_vocab }, random, batch, periods) {
  const fitting = periods.filter((period) => period < d_vocab);
  return gathered({ n_ctx }, batch, () => {
    const period = fitting[wholeNumber(random, fitting.length)];
    const longestLead = Math.max(Math.min(n_ctx - 2 * period, d_vocab - 1 - period), 0);
    return repeated({ n_ctx, d_vocab }, random, wholeNumber(random, longestLead + 1), period);
  });
}

function gathered({ n_ctx }, batch, draw) {
  const size = batch * n_ctx;
  const tokens = new Uint16Array(size), targets = new Uint16Array(size);
  const determined = new Uint8Array(size);
  for (let start = 0; start < size; start += n_ctx) {
    const one = draw();
    tokens.set([BOS, ...one.body.slice(0, -1)], start);
    targets.set(one.body, start); // token i of the body is what row i asks for
    determined.set(one.determined, start);
  }
  return { tokens, targets, determined };
}

// All tokens of lead-in and block are distinct. Determined: every row whose token came before.
function repeated({ n_ctx, d_vocab }, random, lead, period) {
  const ids = shuffled(random, range(1, d_vocab)), positions = range(0, n_ctx);
  const source = (at) => (at < lead ? at : lead + ((at - lead) % period));
  return {
    body: positions.map((at) => ids[source(at)]),
    determined: positions.map((at) => (at > lead + period ? 1 : 0)),
  };
}
