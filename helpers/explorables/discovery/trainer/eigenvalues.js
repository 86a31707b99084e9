// The eigenvalues of a real matrix: made Hessenberg, then QR steps with a shift, in complex numbers
// so that one shift is enough. Source: Golub and Van Loan, Matrix Computations, chapter 7.
// Needs no page.

const NEGLIGIBLE = 2 ** -52;
const STUCK = 10; // steps without an eigenvalue, then another shift

// As { re, im }, in no order, and how many `steps` it took: some three for each.
export function eigenvalues({ values, rows: n }) {
  const re = hessenberg(Float64Array.from(values), n), im = new Float64Array(n * n);
  const size = (i, j) => Math.abs(re[i * n + j]) + Math.abs(im[i * n + j]);
  let steps = 0;
  for (let end = n - 1, since = 0; end > 0;) {
    let start = end; // of the block below which nothing is coupled
    while (start > 0
      && size(start, start - 1) > NEGLIGIBLE * (size(start, start) + size(start - 1, start - 1)))
      start--;
    if (start === end) {
      end--;
      since = 0;
    } else {
      steps++;
      since++;
      const shift = since % STUCK ? wilkinson(re, im, n, end) : [size(end, end - 1), 0];
      qrStep(re, im, n, start, end, shift);
    }
  }
  const diagonal = (part) => Array.from({ length: n }, (_, i) => part[i * n + i]);
  return { re: diagonal(re), im: diagonal(im), steps };
}

// In place: similar to the matrix, and zero below the first subdiagonal; by elimination, the
// largest entry of a column first.
function hessenberg(a, n) {
  for (let k = 1; k < n - 1; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++)
      if (Math.abs(a[i * n + k - 1]) > Math.abs(a[pivot * n + k - 1])) pivot = i;
    if (a[pivot * n + k - 1] === 0) continue;
    for (let j = 0; j < n; j++) swap(a, k * n + j, pivot * n + j);
    for (let i = 0; i < n; i++) swap(a, i * n + k, i * n + pivot);
    for (let i = k + 1; i < n; i++) {
      const factor = a[i * n + k - 1] / a[k * n + k - 1];
      for (let j = 0; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
      for (let j = 0; j < n; j++) a[j * n + k] += factor * a[j * n + i];
    }
  }
  return a;
}

const swap = (a, i, j) => { [a[i], a[j]] = [a[j], a[i]]; };

// The eigenvalue of the last 2 x 2 block [[a, b], [c, d]] that is nearer to d.
function wilkinson(re, im, n, end) {
  const at = (i, j) => [re[(end + i) * n + end + j], im[(end + i) * n + end + j]];
  const a = at(-1, -1), d = at(0, 0), half = [(a[0] - d[0]) / 2, (a[1] - d[1]) / 2];
  const bc = multiplied(at(-1, 0), at(0, -1)), square = multiplied(half, half);
  const root = complexRoot([square[0] + bc[0], square[1] + bc[1]]);
  // d + half -+ root, by the sign that adds no near equals: d - bc / (half +- root)
  const sign = half[0] * root[0] + half[1] * root[1] < 0 ? -1 : 1;
  const below = [half[0] + sign * root[0], half[1] + sign * root[1]];
  const length = below[0] ** 2 + below[1] ** 2;
  if (length === 0) return d;
  const [x, y] = multiplied(bc, [below[0] / length, -below[1] / length]);
  return [d[0] - x, d[1] - y];
}

const multiplied = ([a, b], [c, d]) => [a * c - b * d, a * d + b * c];

function complexRoot([x, y]) {
  const length = Math.hypot(x, y), real = Math.sqrt((length + x) / 2);
  const imaginary = Math.sqrt((length - x) / 2);
  return [real, y < 0 ? -imaginary : imaginary];
}

// Of the block from `start` to `end`: H - shift = Q R becomes R Q + shift, by rotations of
// neighbouring rows, and then of columns.
function qrStep(re, im, n, start, end, [shiftRe, shiftIm]) {
  const rotations = [];
  const shift = (sign) => {
    for (let i = start; i <= end; i++) {
      re[i * n + i] += sign * shiftRe;
      im[i * n + i] += sign * shiftIm;
    }
  };
  shift(-1);
  for (let k = start; k < end; k++) {
    const x = k * n + k, y = x + n;
    const length = Math.hypot(re[x], im[x], re[y], im[y]) || 1;
    const c = [re[x] / length, im[x] / length], s = [re[y] / length, im[y] / length];
    rotations.push([c, s]);
    for (let j = k; j <= end; j++)
      rotate(re, im, k * n + j, (k + 1) * n + j, [c[0], -c[1]], [s[0], -s[1]]);
  }
  rotations.forEach(([c, s], i) => {
    const k = start + i;
    for (let row = start; row <= Math.min(k + 1, end); row++)
      rotate(re, im, row * n + k, row * n + k + 1, c, s);
  });
  shift(1);
}

// (x, y) becomes (c x + s y, -s* x + c* y), with * for the conjugate.
function rotate(re, im, x, y, [cRe, cIm], [sRe, sIm]) {
  const xRe = re[x], xIm = im[x], yRe = re[y], yIm = im[y];
  re[x] = cRe * xRe - cIm * xIm + sRe * yRe - sIm * yIm;
  im[x] = cRe * xIm + cIm * xRe + sRe * yIm + sIm * yRe;
  re[y] = -sRe * xRe - sIm * xIm + cRe * yRe + cIm * yIm;
  im[y] = -sRe * xIm + sIm * xRe + cRe * yIm - cIm * yRe;
}
