// A course model in the browser: its weights turn, and the forward pass runs on them, in float32 as in the kernel.
//
// All that meets the stream is one table with a row for everything that holds d_model numbers: W_E, W_pos, the columns
// of W_Q, W_K and W_V, the rows of W_O, the columns of W_U. To turn the stream is the same for every row: row @ R.

function tableOfRows({ n_layers, n_heads, d_head, d_vocab, pos }) {
  const parts = [["W_E", "embedding", d_vocab], ["W_pos", "embedding", pos]];
  for (let layer = 0; layer < n_layers; layer++)
    for (const name of ["W_Q", "W_K", "W_V", "W_O"])
      parts.push([`${name} ${layer}`, name === "W_O" ? "writers" : "readers", n_heads * d_head]);
  parts.push(["W_U", "unembedding", d_vocab]);
  let from = 0;
  return parts.map(([name, group, rows]) => ({ name, group, rows, from: (from += rows) - rows }));
}

// ---- turning: R(t) = 1 + sin(t) J + (1 - cos t) J J, where J turns by 90 degrees and is zero outside its planes

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
      for (let i = from * d; i < (from + count) * d; i++) out[i] = rows[i] + sine * once[i] + rest * twice[i];
  return out;
}

// The same function, written so that what is read must be multiplied by a gain for each coordinate first.
function withGains(rows, gains, table, d, standard) {
  const out = Float32Array.from(rows);
  for (const { name, group, rows: count, from } of table)
    for (let i = from * d; i < (from + count) * d; i++) {
      if (group === "readers" || group === "unembedding") out[i] /= gains[i % d];
      if (name === "W_pos" && !standard) out[i] *= gains[i % d]; // added behind the gain
    }
  return out;
}

// ---- the forward pass of helpers/model.py, for one sequence; what stands on the stream works coordinate by coordinate

const { fround } = Math;

function forward(shape, weights, table, { centring, gains, floors } = {}) {
  const { pos, d_model: d, n_layers, n_heads, d_head, d_vocab, tokens, standard, rms } = shape;
  const wide = n_heads * d_head, patterns = [], streams = [];
  const W = Object.fromEntries(table.map(({ name, rows, from }) => [name, weights.subarray(from * d, (from + rows) * d)]));
  const x = new Float32Array(pos * d);
  tokens.forEach((token, p) => x.set(W.W_E.subarray(token * d, (token + 1) * d), p * d));
  if (standard) add(x, W.W_pos);
  for (let layer = 0; layer < n_layers; layer++) {
    const read = normalize(x, d, rms, centring, gains);
    const at = standard ? read : add(read.slice(), W.W_pos);
    const q = readBy(at, W[`W_Q ${layer}`], d), k = readBy(at, W[`W_K ${layer}`], d), v = readBy(read, W[`W_V ${layer}`], d);
    const pattern = attention(q, k, pos, n_heads, d_head), z = new Float32Array(pos * wide);
    for (let h = 0; h < n_heads; h++)
      for (let i = 0; i < pos; i++)
        for (let j = 0; j <= i; j++) addRow(z, i * wide + h * d_head, pattern[(h * pos + i) * pos + j], v, j * wide + h * d_head, d_head);
    const out = new Float32Array(pos * d);
    for (let i = 0; i < pos; i++) for (let c = 0; c < wide; c++) addRow(out, i * d, z[i * wide + c], W[`W_O ${layer}`], c * d, d);
    add(x, out);
    if (floors) for (let i = 0; i < x.length; i++) x[i] = Math.max(x[i], floors[layer][i % d]);
    patterns.push(pattern);
    streams.push(x.slice());
  }
  return { logits: readBy(normalize(x, d, rms, centring, gains), W.W_U, d), patterns, streams };
}

function normalize(x, d, rms, centring, gains) {
  const out = x.slice();
  for (let row = 0; row < x.length; row += d) {
    let mean = 0, square = 0;
    if (centring) for (let i = 0; i < d; i++) mean += x[row + i] / d;
    for (let i = 0; i < d; i++) square += (x[row + i] - mean) ** 2 / d;
    const scale = rms ? Math.sqrt(square + 1e-5) : 1;
    for (let i = 0; i < d; i++) out[row + i] = ((x[row + i] - mean) / scale) * (gains ? gains[i] : 1);
  }
  return out;
}

function attention(q, k, pos, n_heads, d_head) {
  const pattern = new Float32Array(n_heads * pos * pos), wide = n_heads * d_head;
  for (let h = 0; h < n_heads; h++)
    for (let i = 0; i < pos; i++) {
      const row = pattern.subarray((h * pos + i) * pos, (h * pos + i) * pos + i + 1);
      for (let j = 0; j <= i; j++) row[j] = dot(q, i * wide + h * d_head, k, j * wide + h * d_head, d_head) / Math.sqrt(d_head);
      softmax(row);
    }
  return pattern;
}

export function softmax(row) {
  const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
  let sum = 0;
  for (let j = 0; j < row.length; j++) sum += row[j] = Math.exp(row[j] - top);
  for (let j = 0; j < row.length; j++) row[j] /= sum;
  return row;
}

function readBy(x, W, d) { // x [pos, d] times the transpose of W [n, d]
  const n = W.length / d, pos = x.length / d, out = new Float32Array(pos * n);
  for (let i = 0; i < pos; i++) for (let j = 0; j < n; j++) out[i * n + j] = dot(x, i * d, W, j * d, d);
  return out;
}

function dot(a, from, b, other, n) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum = fround(sum + fround(a[from + i] * b[other + i]));
  return sum;
}

function addRow(out, to, weight, rows, from, n) {
  for (let i = 0; i < n; i++) out[to + i] += weight * rows[from + i];
}

function add(x, y) {
  for (let i = 0; i < x.length; i++) x[i] += y[i];
  return x;
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
    for (let i = 0; i < d; i++) { second += (x[row + i] - mean) ** 2 / d; fourth += (x[row + i] - mean) ** 4 / d; }
    sum += fourth / second ** 2;
  }
  return (sum * d) / x.length;
}

// The model with the present switches: at 0 degrees, which all is compared with, and at any other angle.
export class TurningModel {
  constructor(shape, rows, gains) {
    Object.assign(this, { shape, rows, gains, table: tableOfRows(shape) });
  }

  set({ J, breaks, turned }) {
    const { shape, table } = this, has = (name) => breaks.includes(name);
    this.turned = new Set(turned);
    this.stream = { centring: has("centring"), gains: has("gains") ? this.gains : null };
    const rows = has("gains") ? withGains(this.rows, this.gains, table, shape.d_model, shape.standard) : this.rows;
    this.along = prepareTurn(rows, J, shape.d_model);
    this.start = forward(shape, rows, table, this.stream);
    // A ReLU whose threshold no coordinate goes below at 0 degrees: there it does nothing.
    if (has("relu")) this.stream.floors = this.start.streams.map((x) => lowest(x, shape.d_model));
    const largest = this.start.logits.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    this.rounding = shape.d_model * 2 ** -24 * largest; // the bound for one float32 sum of d_model products
    this.streamPath = prepareTurn(this.start.streams.at(-1), J, shape.d_model);
  }

  at(degrees) {
    const { shape, table } = this;
    const weights = turn(this.along, (degrees * Math.PI) / 180, table, shape.d_model, this.turned);
    const now = forward(shape, weights, table, this.stream);
    const stream = now.streams.at(-1);
    return { ...now, weights, stream, change: largestChange(now.logits, this.start.logits), kurtosis: kurtosis(stream, shape.d_model) };
  }
}

function lowest(x, d) {
  const floor = x.slice(0, d);
  for (let i = d; i < x.length; i++) floor[i % d] = Math.min(floor[i % d], x[i]);
  return floor;
}
