// A course model in the browser: its weights turn, and the forward pass runs on them, in float32 as
// in the kernel. Needs no page.
//
// All that meets the stream is one table with a row for everything that holds d_model numbers: W_E,
// W_pos, the columns of W_Q, W_K and W_V, the rows of W_O, the columns of W_U. To turn the stream
// is the same for every row: row @ R.

import { indexOfLargest, largest, softmax } from "../shared/numbers.js";

function tableOfRows({ n_layers, n_heads, d_head, d_vocab, pos }) {
  const parts = [["W_E", "embedding", d_vocab], ["W_pos", "embedding", pos]];
  for (let layer = 0; layer < n_layers; layer++)
    for (const name of ["W_Q", "W_K", "W_V", "W_O"])
      parts.push([`${name} ${layer}`, name === "W_O" ? "writers" : "readers", n_heads * d_head]);
  parts.push(["W_U", "unembedding", d_vocab]);
  let from = 0;
  return parts.map(([name, group, rows]) => {
    const part = { name, group, rows, from };
    from += rows;
    return part;
  });
}

// ---- turning: R(t) = 1 + sin(t) J + (1 - cos t) J J, where J turns by 90 degrees and is zero
// outside its planes

function prepareTurn(rows, J, d) { // float64, and rounded once in `turn`
  const once = rowsTimes(rows, J, d);
  return { rows, once, twice: rowsTimes(once, J, d) };
}

function rowsTimes(rows, J, d) {
  const out = new Float64Array(rows.length);
  for (let row = 0; row < rows.length; row += d)
    for (let i = 0; i < d; i++) {
      const x = rows[row + i];
      if (x !== 0) for (let j = 0; j < d; j++) out[row + j] += x * J[i * d + j];
    }
  return out;
}

function turn({ rows, once, twice }, radians, table, d, turned) {
  const out = Float32Array.from(rows), sine = Math.sin(radians), rest = 1 - Math.cos(radians);
  for (const { group, rows: count, from } of table)
    if (turned.has(group))
      for (let i = from * d; i < (from + count) * d; i++)
        out[i] = rows[i] + sine * once[i] + rest * twice[i];
  return out;
}

// The same function, written so that what is read must be multiplied by a gain for each coordinate
// first.
function withGains(rows, gains, table, d, standard) {
  const out = Float32Array.from(rows);
  for (const { name, group, rows: count, from } of table)
    for (let i = from * d; i < (from + count) * d; i++) {
      if (group === "readers" || group === "unembedding") out[i] /= gains[i % d];
      if (name === "W_pos" && !standard) out[i] *= gains[i % d]; // added behind the gain
    }
  return out;
}

// ---- the forward pass of helpers/model.py, for one sequence; what stands on the stream works
// coordinate by coordinate: `stream` has its centring, gains and floors

function forward(shape, weights, table, stream) {
  const { d_model: d, n_layers, rms } = shape, patterns = [], streams = [];
  const W = Object.fromEntries(table.map(({ name, rows, from }) =>
    [name, weights.subarray(from * d, (from + rows) * d)]));
  const x = embedded(shape, W);
  for (let layer = 0; layer < n_layers; layer++) {
    const { out, pattern } = attend(shape, W, layer, normalize(x, d, rms, stream));
    add(x, out);
    if (stream.floors) raise(x, stream.floors[layer]);
    patterns.push(pattern);
    streams.push(x.slice());
  }
  return { logits: readBy(normalize(x, d, rms, stream), W.W_U, d), patterns, streams };
}

function embedded({ pos, d_model: d, tokens, standard }, { W_E, W_pos }) {
  const x = new Float32Array(pos * d);
  tokens.forEach((token, p) => x.set(W_E.subarray(token * d, (token + 1) * d), p * d));
  return standard ? add(x, W_pos) : x;
}

// One layer: what its heads write, and where they look.
function attend({ pos, d_model: d, n_heads, d_head, standard }, W, layer, read) {
  const wide = n_heads * d_head, at = standard ? read : add(read.slice(), W.W_pos);
  const q = readBy(at, W[`W_Q ${layer}`], d), k = readBy(at, W[`W_K ${layer}`], d);
  const v = readBy(read, W[`W_V ${layer}`], d), pattern = attention(q, k, pos, n_heads, d_head);
  const z = new Float32Array(pos * wide), out = new Float32Array(pos * d);
  for (let h = 0; h < n_heads; h++)
    for (let i = 0; i < pos; i++)
      for (let j = 0; j <= i; j++) {
        const share = pattern[(h * pos + i) * pos + j];
        addRow(z, i * wide + h * d_head, share, v, j * wide + h * d_head, d_head);
      }
  for (let i = 0; i < pos; i++)
    for (let c = 0; c < wide; c++) addRow(out, i * d, z[i * wide + c], W[`W_O ${layer}`], c * d, d);
  return { out, pattern };
}

function normalize(x, d, rms, { centring, gains }) {
  const out = x.slice();
  for (let row = 0; row < x.length; row += d) {
    let mean = 0, square = 0;
    if (centring) for (let i = 0; i < d; i++) mean += x[row + i] / d;
    for (let i = 0; i < d; i++) square += (x[row + i] - mean) ** 2 / d;
    const length = rms ? Math.sqrt(square + 1e-5) : 1;
    for (let i = 0; i < d; i++)
      out[row + i] = ((x[row + i] - mean) / length) * (gains ? gains[i] : 1);
  }
  return out;
}

function attention(q, k, pos, n_heads, d_head) {
  const pattern = new Float32Array(n_heads * pos * pos), wide = n_heads * d_head;
  for (let h = 0; h < n_heads; h++)
    for (let i = 0; i < pos; i++) {
      const from = (h * pos + i) * pos, row = pattern.subarray(from, from + i + 1);
      const query = i * wide + h * d_head;
      for (let j = 0; j <= i; j++)
        row[j] = dot(q, query, k, j * wide + h * d_head, d_head) / Math.sqrt(d_head);
      softmax(row);
    }
  return pattern;
}

function readBy(x, W, d) { // x [pos, d] times the transpose of W [n, d]
  const n = W.length / d, pos = x.length / d, out = new Float32Array(pos * n);
  for (let i = 0; i < pos; i++)
    for (let j = 0; j < n; j++) out[i * n + j] = dot(x, i * d, W, j * d, d);
  return out;
}

function dot(a, from, b, other, n) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum = Math.fround(sum + Math.fround(a[from + i] * b[other + i]));
  return sum;
}

function addRow(out, to, weight, rows, from, n) {
  for (let i = 0; i < n; i++) out[to + i] += weight * rows[from + i];
}

function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
  return x;
}

// A ReLU with a threshold for each coordinate.
function raise(x, floor) {
  for (let i = 0; i < x.length; i++) x[i] = Math.max(x[i], floor[i % floor.length]);
}

function lowest(x, d) {
  const floor = x.slice(0, d);
  for (let i = d; i < x.length; i++) floor[i % d] = Math.min(floor[i % d], x[i]);
  return floor;
}

// ---- what is measured

function largestChange(a, b) {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

// Pearson kurtosis of each row's coordinates, averaged over the rows, as in basis.kurtosis.
export function kurtosis(x, d) {
  let sum = 0;
  for (let row = 0; row < x.length; row += d) {
    let mean = 0, second = 0, fourth = 0;
    for (let i = 0; i < d; i++) mean += x[row + i] / d;
    for (let i = 0; i < d; i++) {
      second += (x[row + i] - mean) ** 2 / d;
      fourth += (x[row + i] - mean) ** 4 / d;
    }
    sum += fourth / second ** 2;
  }
  return (sum * d) / x.length;
}

// The model with the present switches: at 0 degrees, which all is compared with, and at any other
// angle.
export class TurningModel {
  constructor(shape, rows, gains) {
    Object.assign(this, { shape, rows, gains, table: tableOfRows(shape) });
  }

  set({ J, breaks, turned }) {
    const { shape, table, gains } = this, d = shape.d_model, has = (name) => breaks.includes(name);
    this.turned = new Set(turned);
    this.stream = { centring: has("centring"), gains: has("gains") ? gains : null };
    const rows = has("gains") ? withGains(this.rows, gains, table, d, shape.standard) : this.rows;
    this.along = prepareTurn(rows, J, d);
    this.start = forward(shape, rows, table, this.stream);
    // A ReLU whose threshold no coordinate goes below at 0 degrees: there it does nothing.
    if (has("relu")) this.stream.floors = this.start.streams.map((x) => lowest(x, d));
    const size = largest(this.start.logits.map(Math.abs));
    this.rounding = d * 2 ** -24 * size; // the bound for one float32 sum of d_model products
    this.streamPath = prepareTurn(this.start.streams.at(-1), J, d);
  }

  at(degrees) {
    const { shape, table } = this, radians = (degrees * Math.PI) / 180;
    const weights = turn(this.along, radians, table, shape.d_model, this.turned);
    const now = forward(shape, weights, table, this.stream), stream = now.streams.at(-1);
    const change = largestChange(now.logits, this.start.logits);
    return {
      ...now, weights, stream, change,
      fine: change <= this.rounding,
      flipped: this.flipped(now.logits),
      kurtosis: kurtosis(stream, shape.d_model),
    };
  }

  // How many positions have another top prediction than at 0 degrees, but for ties that rounding
  // decides.
  flipped(logits) {
    const { pos, d_vocab } = this.shape, begun = this.start.logits;
    const bestAt = (values, p) => indexOfLargest(values.subarray(p * d_vocab, (p + 1) * d_vocab));
    return Array.from({ length: pos }, (_, p) => p).filter((p) => {
      const at = (token) => begun[p * d_vocab + token];
      return at(bestAt(begun, p)) - at(bestAt(logits, p)) > 2 * this.rounding;
    }).length;
  }
}
