// Matrices of float32, and the two things that take most of a training's time: products, and
// scores that become attention. In WebAssembly where the browser has SIMD, else in JavaScript.
// Needs no page.

import { KERNEL } from "./kernel.js";

const PAGES = 768; // of 64 KiB, for three layers of eight heads; unused ones cost nothing
const IN_CACHE = 128; // summands of a product at a time: their rows stay near the processor

// Row by row; from one entry it is `down` to the next row and `along` to the next column.
export class Matrix {
  constructor(values, rows, columns, down = columns, along = 1) {
    Object.assign(this, { values, rows, columns, down, along });
  }

  // The transpose, of the same numbers.
  get T() {
    return new Matrix(this.values, this.columns, this.rows, this.along, this.down);
  }

  // this += factor * other, which may be turned; this may not.
  add({ values, down, along }, factor) {
    for (let i = 0, at = 0; i < this.rows; i++)
      for (let j = 0; j < this.columns; j++)
        this.values[at++] += factor * values[i * down + j * along];
  }

  // Cut into `count` of equal height; of the same numbers.
  split(count) {
    const rows = this.rows / count, size = rows * this.columns;
    return Array.from({ length: count }, (_, i) =>
      new Matrix(this.values.subarray(i * size, (i + 1) * size), rows, this.columns));
  }
}

// All matrices of one model, in one memory. `withSimd` false asks for the plain loops.
export class Arithmetic {
  constructor(withSimd = true) {
    this.memory = new WebAssembly.Memory({ initial: PAGES });
    this.used = 0; // bytes
    this.kernel = withSimd ? loadKernel(this.memory) : null;
    this.turned = this.matrix(64, 64); // where a transpose is written out
  }

  // A new one, of zeros. RangeError where the memory is full.
  matrix(rows, columns) {
    const values = new Float32Array(this.memory.buffer, this.used, rows * columns);
    this.used += 16 * Math.ceil(values.byteLength / 16);
    return new Matrix(values, rows, columns);
  }

  // C = A B
  product(C, A, B) {
    C.values.fill(0);
    this.addProduct(C, A, B);
  }

  // C += A B
  addProduct(C, A, B) {
    if (B.along !== 1) B = this.writtenOut(B);
    const rows = this.kernel ? C.rows & -4 : 0, columns = this.kernel ? C.columns & -8 : 0;
    if (rows && columns) this.addTiles(C, A, B); // of 4 rows and 8 columns, and now what is left
    addEntries(C, A, B, rows, C.rows, 0, columns);
    addEntries(C, A, B, 0, C.rows, columns, C.columns);
  }

  addTiles(C, A, B) {
    const { addProduct } = this.kernel, along = 4 * A.along, stride = 4 * B.down;
    for (let p = 0; p < A.columns; p += IN_CACHE)
      addProduct(A.values.byteOffset + p * along, 4 * A.down, along,
        B.values.byteOffset + p * stride, C.values.byteOffset, stride, C.rows, C.columns,
        Math.min(IN_CACHE, A.columns - p));
  }

  writtenOut({ values, rows, columns, down, along }) {
    if (rows * columns > this.turned.values.length) this.turned = this.matrix(rows, columns);
    const to = this.turned.values;
    for (let i = 0, at = 0; i < rows; i++)
      for (let j = 0; j < columns; j++) to[at++] = values[i * down + j * along];
    return new Matrix(to, rows, columns);
  }

  // In place: scores [sequences * pos, pos] become attention, softmax(scale * score) of the
  // positions up to the row's own.
  attend(scores, scale) {
    if (this.kernel && scores.columns % 4 === 0)
      this.kernel.attend(scores.values.byteOffset, scores.rows, scores.columns, scale);
    else attendInTurn(scores, scale);
  }
}

function loadKernel(memory) {
  const bytes = Uint8Array.from(atob(KERNEL), (letter) => letter.charCodeAt(0));
  if (!WebAssembly.validate(bytes)) return null; // a browser without SIMD
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), { memory: { memory } }).exports;
}

// The entries of C += A B in these rows and columns: four columns at a time, so that an entry of A
// is fetched once for all.
function addEntries({ values: c, down: toRow }, A, { values: b, down: stride }, top, bottom, left,
  right) {
  const { values: a, down, along, columns: inner } = A;
  for (let i = top; i < bottom; i++) {
    let j = left;
    for (; j + 4 <= right; j += 4) {
      let sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
      for (let p = 0, at = i * down, to = j; p < inner; p++, at += along, to += stride) {
        const each = a[at];
        sum0 += each * b[to];
        sum1 += each * b[to + 1];
        sum2 += each * b[to + 2];
        sum3 += each * b[to + 3];
      }
      c[i * toRow + j] += sum0;
      c[i * toRow + j + 1] += sum1;
      c[i * toRow + j + 2] += sum2;
      c[i * toRow + j + 3] += sum3;
    }
    for (; j < right; j++) {
      let sum = 0;
      for (let p = 0; p < inner; p++) sum += a[i * down + p * along] * b[p * stride + j];
      c[i * toRow + j] += sum;
    }
  }
}

function attendInTurn({ values, rows, columns }, scale) {
  for (let row = 0; row < rows; row++) {
    const scores = values.subarray(row * columns, (row + 1) * columns);
    const seen = (row % columns) + 1;
    let most = -Infinity, sum = 0;
    for (let key = 0; key < seen; key++) most = Math.max(most, scores[key]);
    for (let key = 0; key < seen; key++) {
      const share = Math.exp(scale * (scores[key] - most));
      scores[key] = share;
      sum += share;
    }
    for (let key = 0; key < seen; key++) scores[key] /= sum;
    scores.fill(0, seen);
  }
}
