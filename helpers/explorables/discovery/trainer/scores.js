// What heads do on the sequences that a pass has read, as helpers/instruments/patterns.py scores
// it, and what they are scored on. Needs no page.

import { shuffled } from "./random.js";

// Whether an induction head looks from this row to this key, which is 2 or more, for in front of
// key 1 stands BOS: right behind an earlier copy of the row's token.
const isTarget = (tokens, query, key) => tokens[key - 1] === tokens[query];

// Where the token of each row came before, or not: 1 or 0.
export function repeats(tokens, n_ctx) {
  return tokens.map((_, row) => {
    const start = row - (row % n_ctx);
    for (let key = 2; key <= row - start; key++)
      if (isTarget(tokens.subarray(start), row - start, key)) return 1;
    return 0;
  });
}

// Attention that falls on any of a row's targets, averaged over the rows that have one: of the
// `patterns` of one head, each with the tokens of its sequence.
export function prefixMatching(patterns, sequences) {
  let sum = 0, rows = 0;
  sequences.forEach((tokens, i) => {
    const { values, columns } = patterns[i];
    for (let query = 0; query < tokens.length; query++) {
      let isRow = false;
      for (let key = 2; key <= query; key++)
        if (isTarget(tokens, query, key)) {
          isRow = true;
          sum += values[query * columns + key];
        }
      if (isRow) rows++;
    }
  });
  return sum / rows;
}

// Attention one step back, averaged over rows 2 and later: before row 1 stands BOS.
export function previousToken(patterns) {
  let sum = 0;
  for (const { values, columns } of patterns)
    for (let row = 2; row < columns; row++) sum += values[row * columns + row - 1];
  return sum / (patterns.length * (patterns[0].columns - 2));
}

// Attention spread evenly over the present and all earlier positions: the chance line.
export function uniformPattern(columns) {
  const values = new Float64Array(columns * columns);
  for (let row = 0; row < columns; row++)
    values.fill(1 / (row + 1), row * columns, row * columns + row + 1);
  return { values, columns };
}

// BOS and a block of random distinct tokens, over and over, another length in every sequence: as
// helpers/instruments/probes.py.
export function probe({ n_ctx, d_vocab }, random, count) {
  const longest = Math.min(33, d_vocab - 1, Math.floor((n_ctx - 1) / 2));
  const shortest = Math.floor((longest + 1) / 2);
  const ids = Array.from({ length: d_vocab - 1 }, (_, i) => i + 1);
  return Array.from({ length: count }, (_, i) => {
    const length = Math.round(shortest + (i * (longest - shortest)) / (count - 1));
    const block = shuffled(random, ids).slice(0, length);
    return Uint16Array.from({ length: n_ctx }, (_, at) => (at ? block[(at - 1) % length] : 0));
  });
}
