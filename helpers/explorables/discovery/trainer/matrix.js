// Matrices of float32 and what a training does with them, in WebAssembly where the browser has
// SIMD and the shape fits, else in the plain loops of plain.js. Needs no page.

import { loadKernel } from "./kernel.js";
import {
  addedInTurn, attendInTurn, exponentialsInTurn, productInTurn, throughSoftmaxInTurn,
} from "./plain.js";

const PAGES = 256; // of 64 KiB, for three layers of eight heads; unused ones cost nothing

// Row by row; from one entry it is `down` to the next row and `along` to the next column. `side` is
// 1 where no more than the entries up to the diagonal count, as of an attention pattern, and -1
// where it is turned.
export class Matrix {
  constructor(values, rows, columns, { down = columns, along = 1, side = 0 } = {}) {
    const address = values.byteOffset;
    Object.assign(this, { values, address, rows, columns, down, along, side, turned: null });
  }

  // The transpose, of the same numbers.
  get T() {
    const { values, rows, columns, down, along, side } = this;
    this.turned ??= new Matrix(values, columns, rows, { down: along, along: down, side: -side });
    return this.turned;
  }

  // Cut into `count` of equal height; of the same numbers.
  split(count) {
    const rows = this.rows / count, size = rows * this.columns;
    return Array.from({ length: count }, (_, i) =>
      new Matrix(this.values.subarray(i * size, (i + 1) * size), rows, this.columns));
  }
}

// All matrices of one model, in one memory. `kernel` is how much of the browser may be used: all,
// "simd" without what multiplies and adds at once, or "plain".
export class Arithmetic {
  constructor(kernel = "all") {
    this.memory = new WebAssembly.Memory({ initial: PAGES });
    this.used = 0; // bytes
    this.kernel = kernel === "plain" ? null : loadKernel(this.memory, kernel === "all");
  }

  // A new one, of zeros. RangeError where the memory is full.
  matrix(rows, columns, side = 0) {
    const values = new Float32Array(this.memory.buffer, this.used, rows * columns);
    this.used += 16 * Math.ceil(values.byteLength / 16);
    return new Matrix(values, rows, columns, { side });
  }

  // C = A B, where A may be turned. The first `top` rows of the sequence count for nothing: rows of
  // C, or if A is turned its columns.
  product(C, A, B, top = 0) {
    this.multiply(C, A, B, top, false);
  }

  // C += A B
  addProduct(C, A, B, top = 0) {
    this.multiply(C, A, B, top, true);
  }

  multiply(C, A, B, top, isSum) {
    const row = A.along === 1 ? top : 0, first = top - row, height = C.rows - row;
    const rows = this.kernel ? height & -4 : 0;
    const columns = rows ? C.columns & -8 : 0;
    if (columns) // tiles of 4 rows and 8 columns, and now what is left
      this.kernel.product(A.address + 4 * (row * A.down + first * A.along), 4 * A.down,
        4 * A.along, B.address + 4 * first * B.down, C.address + 4 * row * C.down, 4 * B.down,
        rows, 4 * columns, A.columns - first, isSum ? 1 : 0, countsIn(C, A), row - first);
    if (rows === height && columns === C.columns) return;
    productInTurn(C, A, B, isSum, first, row + rows, C.rows, 0, columns);
    productInTurn(C, A, B, isSum, first, row, C.rows, columns, C.columns);
  }

  // B = A^T, written out
  turn(B, A) {
    const { rows, columns } = A;
    if (this.kernel && rows % 4 === 0 && columns % 4 === 0)
      this.kernel.turn(A.address, B.address, rows, columns);
    else
      for (let i = 0, at = 0; i < columns; i++)
        for (let j = 0; j < rows; j++) B.values[at++] = A.values[j * columns + i];
  }

  // In place, from row `top` on: scores [query, key] become attention, softmax(scale * score) of
  // the positions up to the row's own.
  attend(scores, scale, top) {
    const { address, rows, columns } = scores;
    if (this.kernel && columns % 4 === 0)
      this.kernel.attend(address + 4 * top * columns, rows - top, 4 * columns, 4 * top + 4, scale);
    else attendInTurn(scores, scale, top);
  }

  // In place, from row `top` on: the derivative by the attention becomes that by the scores.
  throughSoftmax(d, pattern, scale, top) {
    const { rows, columns } = d, start = 4 * top * columns;
    if (this.kernel && columns % 4 === 0)
      this.kernel.throughSoftmax(d.address + start, pattern.address + start, rows - top,
        4 * columns, 4 * top + 4, scale);
    else throughSoftmaxInTurn(d, pattern, scale, top);
  }

  // e^(x - most) of a row of `from` in the same row of `to`; gives their sum.
  exponentials(to, from, row, most) {
    const { columns } = from, start = 4 * row * columns;
    if (this.kernel && columns % 4 === 0)
      return this.kernel.exponentials(from.address + start, from.address + start + 4 * columns,
        to.address + start, 1, most);
    return exponentialsInTurn(to, from, row, most);
  }

  // C = A + B
  add(C, A, B) {
    if (this.kernel && C.values.length % 4 === 0)
      this.kernel.add(C.address, A.address, B.address, C.values.byteLength);
    else addedInTurn(C, A, B);
  }
}

// What the kernel may leave out of C = A B: nothing; of C what lies beyond the diagonal; of A the
// zeros beyond it, or before it.
const ALL = 0, RESULT_BELOW = 1, FACTOR_BELOW = 2, FACTOR_ABOVE = 3;

const countsIn = (C, A) =>
  C.side > 0 ? RESULT_BELOW : A.side > 0 ? FACTOR_BELOW : A.side < 0 ? FACTOR_ABOVE : ALL;
