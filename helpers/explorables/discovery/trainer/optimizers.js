// The optimisers of helpers/training/optimizers.py: Muon for the matrices of the heads, AdamW for
// the rest, both without weight decay. Needs no page.

import { Matrix } from "./matrix.js";

const SIDES = ["Q", "K", "V", "O"]; // the matrices of a head, Muon's
const BETAS = [0.9, 0.95];
const EPSILON = 1e-8;
const MOMENTUM = 0.95;
const NEWTON_SCHULZ = [3.4445, -4.775, 2.0315]; // Jordan et al. 2024
const NEWTON_SCHULZ_STEPS = 5;

// One step at a time of all weights, each against its gradient.
export class Optimizers {
  constructor(config, arithmetic, weights, gradients) {
    const matricesOf = ({ layers }) =>
      layers.flat().flatMap((head) => SIDES.map((side) => head[side]));
    const slopes = matricesOf(gradients);
    const muon = new Muon(config, arithmetic);
    this.muon = matricesOf(weights).map((W, i) => muon.makeStep(W, slopes[i]));
    this.adamw = Object.keys(weights.named).filter((name) => !/^W_[QKVO]$/.test(name))
      .map((name) => makeAdamWStep(weights.named[name].values, gradients.named[name].values));
  }

  step({ lr, muon_lr }) {
    for (const step of this.adamw) step(lr);
    for (const step of this.muon) step(muon_lr);
  }
}

function makeAdamWStep(weight, gradient) {
  const mean = new Float32Array(weight.length), square = new Float32Array(weight.length);
  const [keep, keepSquare] = BETAS;
  let steps = 0;
  return (lr) => {
    steps++;
    const rate = lr / (1 - keep ** steps), unbiased = Math.sqrt(1 - keepSquare ** steps);
    for (let i = 0; i < weight.length; i++) {
      const g = gradient[i];
      mean[i] += (1 - keep) * (g - mean[i]);
      square[i] = keepSquare * square[i] + (1 - keepSquare) * g * g;
      weight[i] -= (rate * mean[i]) / (Math.sqrt(square[i]) / unbiased + EPSILON);
    }
  };
}

// Steps of equal size in all directions of a matrix: the momentum, with its singular values
// brought near 1.
class Muon {
  constructor({ d_model, d_head }, arithmetic) {
    const short = Math.min(d_model, d_head), long = Math.max(d_model, d_head);
    this.arithmetic = arithmetic;
    this.x = arithmetic.matrix(short, long);
    this.next = arithmetic.matrix(short, long);
    this.gram = arithmetic.matrix(short, short);
    this.factor = arithmetic.matrix(short, short);
  }

  makeStep(weight, { values: gradient }) {
    const { rows, columns } = weight;
    const momentum = new Float32Array(gradient.length);
    const update = new Matrix(new Float32Array(gradient.length), rows, columns);
    return (lr) => {
      gradient.forEach((g, i) => {
        momentum[i] += (1 - MOMENTUM) * (g - momentum[i]);
        update.values[i] = g + MOMENTUM * (momentum[i] - g);
      });
      const rate = lr * Math.sqrt(Math.max(1, rows / columns));
      weight.add(this.orthogonalise(update), -rate);
    };
  }

  // U V^T of the singular value decomposition U S V^T, roughly: five Newton-Schulz steps bring S
  // near 1.
  orthogonalise(matrix) {
    const { arithmetic, gram, factor } = this, [a, b, c] = NEWTON_SCHULZ;
    const isTall = matrix.rows > matrix.columns, length = Math.sqrt(sumOfSquares(matrix.values));
    let { x, next } = this;
    x.values.fill(0);
    x.add(isTall ? matrix.T : matrix, 1 / (length + 1e-7));
    for (let step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
      arithmetic.product(gram, x, x.T);
      arithmetic.product(factor, gram, gram);
      factor.values.forEach((square, i) => { factor.values[i] = b * gram.values[i] + c * square; });
      arithmetic.product(next, factor, x);
      next.add(x, a);
      [x, next] = [next, x];
    }
    return isTall ? x.T : x;
  }
}

const sumOfSquares = (values) => values.reduce((sum, value) => sum + value * value, 0);
