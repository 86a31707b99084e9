// What kernel.wat does, in plain loops: for a browser without SIMD, and for what is left of a
// matrix beside whole tiles. Needs no page.

// The entries of C = A B, or C += A B, in these rows and columns, by the summands from `first` on:
// four columns at a time, so that an entry of A is fetched once for all.
export function productInTurn({ values: c, down: toRow }, A, { values: b, down: stride }, isSum,
  first, top, bottom, left, right) {
  const { values: a, down, along, columns: inner } = A, before = (at) => (isSum ? c[at] : 0);
  for (let i = top; i < bottom; i++) {
    let j = left;
    for (; j + 4 <= right; j += 4) {
      const to = i * toRow + j;
      let sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
      let at = i * down + first * along, from = first * stride + j;
      for (let p = first; p < inner; p++, at += along, from += stride) {
        const each = a[at];
        sum0 += each * b[from];
        sum1 += each * b[from + 1];
        sum2 += each * b[from + 2];
        sum3 += each * b[from + 3];
      }
      c[to] = before(to) + sum0;
      c[to + 1] = before(to + 1) + sum1;
      c[to + 2] = before(to + 2) + sum2;
      c[to + 3] = before(to + 3) + sum3;
    }
    for (; j < right; j++) {
      let sum = 0;
      for (let p = first; p < inner; p++) sum += a[i * down + p * along] * b[p * stride + j];
      c[i * toRow + j] = before(i * toRow + j) + sum;
    }
  }
}

export function attendInTurn({ values, rows, columns }, scale, top) {
  for (let row = top; row < rows; row++) {
    const scores = values.subarray(row * columns, (row + 1) * columns), seen = row + 1;
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

export function throughSoftmaxInTurn({ values: d, rows, columns }, { values: pattern }, scale,
  top) {
  for (let row = top; row < rows; row++) {
    const start = row * columns, end = start + row + 1;
    let mean = 0; // as the attention weighs it
    for (let i = start; i < end; i++) mean += d[i] * pattern[i];
    for (let i = start; i < end; i++) d[i] = scale * pattern[i] * (d[i] - mean);
    d.fill(0, end, start + columns);
  }
}

export function exponentialsInTurn({ values: to }, { values: from, columns }, row, most) {
  let sum = 0;
  for (let i = row * columns; i < (row + 1) * columns; i++) {
    to[i] = Math.exp(from[i] - most);
    sum += to[i];
  }
  return sum;
}

export function addedInTurn({ values: c }, { values: a }, { values: b }) {
  for (let i = 0; i < c.length; i++) c[i] = a[i] + b[i];
}
