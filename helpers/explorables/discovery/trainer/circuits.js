// What the weights of heads say: whether a head copies, and who reads whom, as
// helpers/instruments/circuits.py and composition.py measure it. Needs no page.

import { eigenvalues } from "./eigenvalues.js";
import { normal } from "./random.js";

const DRAWS = 40; // of the null of composition
const COPYING_DRAWS = 200;
const RARE = 0.95; // what one in twenty exceeds

// A B in double precision; matrices as { values, rows, columns, down, along }, either turned.
function times(A, B) {
  const { values: a, rows, columns: inner, down, along } = A;
  const { values: b, columns, down: downB, along: alongB } = B;
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++)
    for (let p = 0; p < inner; p++) {
      const each = a[i * down + p * along], start = i * columns;
      for (let j = 0, at = p * downB; j < columns; j++, at += alongB)
        values[start + j] += each * b[at];
    }
  return doubles(values, rows, columns);
}

const doubles = (values, rows, columns) => ({ values, rows, columns, down: columns, along: 1 });

const turn = ({ values, rows, columns, down, along }) =>
  ({ values, rows: columns, columns: rows, down: along, along: down });

const gram = (A) => times(turn(A), A);

const overlap = (A, B) => A.values.reduce((sum, value, i) => sum + value * B.values[i], 0);

// ---- copying

// sum(lambda) / sum(|lambda|) of the eigenvalues of W_E OV W_U: 1 when all are positive. AB and BA
// share them but for zeros, so d_head x d_head is enough.
export function copyingStatistic({ W_E, W_U }, { V, O }) {
  const { re, im } = eigenvalues(times(times(O, W_U), times(W_E, V)));
  const size = re.reduce((sum, real, i) => sum + Math.hypot(real, im[i]), 0);
  return size ? re.reduce((sum, real) => sum + real, 0) / size : 0;
}

// Nineteen of twenty random heads of these shapes have one between minus this and this.
export function copyingBand({ d_vocab, d_model, d_head }, random) {
  const draw = (rows, columns) => gaussian(random, rows, columns);
  const sizes = Array.from({ length: COPYING_DRAWS }, () => Math.abs(copyingStatistic(
    { W_E: draw(d_vocab, d_model), W_U: draw(d_model, d_vocab) },
    { V: draw(d_model, d_head), O: draw(d_head, d_model) })));
  return quantile(sizes, RARE);
}

const gaussian = (random, rows, columns) =>
  doubles(Float64Array.from({ length: rows * columns }, () => normal(random)), rows, columns);

// With linear interpolation between the two nearest.
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b), at = share * (sorted.length - 1);
  const low = Math.floor(at), high = Math.ceil(at);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}

// ---- composition

// K-composition of every writer and reader [writer][reader], from 0 to 1:
// |OV1 QK2^T| / (|OV1| |QK2^T|), with null where the reader is in no later layer.
export function compositionScores({ layers }) {
  const writers = layers.slice(0, -1).flat().map(writing);
  const readers = layers.slice(1).flat().map(reading);
  return paired(layers, (w, r) => pairScore(writers[w], readers[r]));
}

// Of twenty models whose readers are turned at random, nineteen have no pair above this. The
// stream `random` must not be that of the weights, or the null looks like the model.
export function compositionLimit({ layers }, random) {
  const writers = layers.slice(0, -1).flat().map(writing);
  const readers = layers.slice(1).flat().map(reading);
  const bests = Array.from({ length: DRAWS }, () => {
    const turned = readers.map((reader) => turnedAtRandom(reader, random));
    const scores = paired(layers, (w, r) => pairScore(writers[w], turned[r]));
    return scores.flat().reduce((most, score) => Math.max(most, score ?? 0), 0);
  });
  return quantile(bests, RARE);
}

function paired(layers, score) {
  const n_heads = layers[0].length, count = (layers.length - 1) * n_heads;
  const layerOf = (i) => Math.floor(i / n_heads);
  return Array.from({ length: count }, (_, writer) => Array.from({ length: count }, (_, reader) =>
    (layerOf(reader) + 1 > layerOf(writer) ? score(writer, reader) : null)));
}

// A product is side @ other^T; its norm needs of the outer factor no more than its Gram matrix.
const writing = ({ V, O }) => sized({ side: turn(O), outer: gram(V) });
const reading = ({ K, Q }) => sized({ side: K, outer: gram(Q) });

// |side R^T|, where R^T R = outer
const sized = (part) => ({ ...part, size: Math.sqrt(overlap(gram(part.side), part.outer)) });

function pairScore(writer, reader) {
  const between = times(turn(writer.side), reader.side);
  const squared = overlap(times(times(writer.outer, between), reader.outer), between);
  return Math.sqrt(squared) / (writer.size * reader.size);
}

// The same strengths, reading from a random subspace: K = frame @ R with another frame.
function turnedAtRandom(reader, random) {
  const { rows, columns } = reader.side;
  const frame = orthonormal(gaussian(random, rows, columns));
  return { ...reader, side: times(frame, turn(cholesky(gram(reader.side)))) };
}

// The columns made orthonormal, in place, one after the other (Gram and Schmidt).
function orthonormal(A) {
  const { values, rows, columns } = A;
  const dot = (j, k) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += values[i * columns + j] * values[i * columns + k];
    return sum;
  };
  for (let j = 0; j < columns; j++) {
    for (let k = 0; k < j; k++) {
      const along = dot(j, k);
      for (let i = 0; i < rows; i++) values[i * columns + j] -= along * values[i * columns + k];
    }
    const length = Math.sqrt(dot(j, j));
    for (let i = 0; i < rows; i++) values[i * columns + j] /= length;
  }
  return A;
}

// The lower triangle L with L L^T = A.
function cholesky({ values: a, rows }) {
  const L = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j <= i; j++) {
      let left = a[i * rows + j];
      for (let k = 0; k < j; k++) left -= L[i * rows + k] * L[j * rows + k];
      if (i === j) L[i * rows + i] = Math.sqrt(Math.max(left, 0));
      else L[i * rows + j] = L[j * rows + j] ? left / L[j * rows + j] : 0;
    }
  return doubles(L, rows, rows);
}
