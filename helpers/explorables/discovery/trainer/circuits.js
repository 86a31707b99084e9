// What the weights of heads say: whether a head copies, and who reads whom, as
// helpers/instruments/circuits.py and composition.py measure it. Needs no page.

import { eigenvalues } from "./eigenvalues.js";
import { productInTurn } from "./plain.js";
import { normal } from "./random.js";

const DRAWS = 40; // of the null of composition
const RARE = 0.95; // what one in twenty exceeds
const NO_RANK = 1e-12;

// ---- matrices in double precision, { values, rows, columns, down, along }: as in matrix.js

const doubles = (values, rows, columns) => ({ values, rows, columns, down: columns, along: 1 });

const precise = ({ values, rows, columns }) => doubles(Float64Array.from(values), rows, columns);

const turn = ({ values, rows, columns, down, along }) =>
  ({ values, rows: columns, columns: rows, down: along, along: down });

// A B; either may be turned.
function times(A, B) {
  const C = doubles(new Float64Array(A.rows * B.columns), A.rows, B.columns);
  productInTurn(C, A, B.along === 1 ? B : writtenOut(B), false, 0, 0, C.rows, 0, C.columns);
  return C;
}

function writtenOut({ values, rows, columns, down, along }) {
  const out = new Float64Array(rows * columns);
  for (let i = 0, at = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) out[at++] = values[i * down + j * along];
  return doubles(out, rows, columns);
}

function norm({ values }) {
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += values[i] * values[i];
  return Math.sqrt(squares);
}

// ---- copying

// Of every head [layer][head], sum(lambda) / sum(|lambda|) of the eigenvalues of W_E OV W_U: 1 when
// all are positive. AB and BA share them but for zeros, so d_head x d_head is enough.
export function copyingStatistics({ named: { W_E, W_U }, layers }) {
  const around = times(precise(W_U), precise(W_E));
  return layers.map((heads) => heads.map(({ V, O }) =>
    positivity(eigenvalues(times(times(precise(O), around), precise(V))))));
}

function positivity({ re, im }) {
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
const writing = ({ V, O }) => unit(times(triangle(precise(V)), precise(O)));
const reading = ({ K, Q }) => unit(times(precise(K), turn(triangle(precise(Q)))));

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
