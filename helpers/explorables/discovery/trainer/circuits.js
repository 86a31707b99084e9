// What the weights of heads say: whether a head copies, and who reads whom, as
// helpers/instruments/circuits.py and composition.py measure it. Needs no page.

import { eigenvalues } from "./eigenvalues.js";
import { normal } from "./random.js";

const DRAWS = 40; // of the null of composition
const RARE = 0.95; // what one in twenty exceeds
const NO_RANK = 1e-12;

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

function norm({ values }) {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i] * values[i];
  return Math.sqrt(squares);
}

// ---- copying

// sum(lambda) / sum(|lambda|) of the eigenvalues of W_E OV W_U: 1 when all are positive. AB and BA
// share them but for zeros, so d_head x d_head is enough.
export function copyingStatistic({ W_E, W_U }, { V, O }) {
  const { re, im } = eigenvalues(times(times(O, W_U), times(W_E, V)));
  const size = re.reduce((sum, real, i) => sum + Math.hypot(real, im[i]), 0);
  return size ? re.reduce((sum, real) => sum + real, 0) / size : 0;
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
export function compositionLimit({ layers }, random, draws = DRAWS) {
  const d_model = layers[0][0].O.columns;
  const writers = layers.slice(0, -1).flat().map(writing);
  const strengths = layers.slice(1).flat().map(reading).map(triangle);
  const bests = Array.from({ length: draws }, () => {
    const turned = strengths.map((strength) => turnedAtRandom(strength, d_model, random));
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

// OV of a writer and QK^T of a reader, each of norm 1 and but for an orthogonal factor at its outer
// end, which changes no norm: of W_V and W_Q no more counts than the R with R^T R = W^T W.
const writing = ({ V, O }) => unit(times(triangle(V), O));
const reading = ({ K, Q }) => unit(times(K, turn(triangle(Q))));

function unit(A) {
  const size = norm(A);
  return { ...A, values: A.values.map((value) => value / size) };
}

const pairScore = (written, read) => norm(times(written, read));

// A reader of this strength, from a random subspace.
const turnedAtRandom = (strength, d_model, random) =>
  times(turn(orthonormal(gaussian(random, strength.rows, d_model))), strength);

function gaussian(random, rows, columns) {
  const values = new Float64Array(rows * columns);
  for (let i = 0; i < values.length; i++) values[i] = normal(random);
  return doubles(values, rows, columns);
}

// The rows made orthonormal, in place, one after the other (Gram and Schmidt).
function orthonormal(A) {
  const { values, rows, columns } = A;
  const dot = (start, other) => {
    let sum = 0;
    for (let i = 0; i < columns; i++) sum += values[start + i] * values[other + i];
    return sum;
  };
  for (let row = 0; row < rows; row++) {
    const start = row * columns;
    for (let other = 0; other < start; other += columns) {
      const along = dot(start, other);
      for (let i = 0; i < columns; i++) values[start + i] -= along * values[other + i];
    }
    const length = Math.sqrt(dot(start, start));
    for (let i = 0; i < columns; i++) values[start + i] /= length;
  }
  return A;
}

// The upper triangle R with R^T R = A^T A (Cholesky), zero in the rows that A has no rank for.
function triangle(A) {
  const { values: a, rows: n } = times(turn(A), A), R = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = i; j < n; j++) {
      let left = a[i * n + j];
      for (let k = 0; k < i; k++) left -= R[k * n + i] * R[k * n + j];
      if (i === j) R[i * n + i] = left > NO_RANK * a[i * n + i] ? Math.sqrt(left) : 0;
      else R[i * n + j] = R[i * n + i] ? left / R[i * n + i] : 0;
    }
  return doubles(R, n, n);
}

// With linear interpolation between the two nearest.
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b), at = share * (sorted.length - 1);
  const low = Math.floor(at), high = Math.ceil(at);
  return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
}
