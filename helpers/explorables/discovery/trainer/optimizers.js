// The optimisers of helpers/training/optimizers.py: Muon for the matrices of the heads, AdamW for
// the rest, both without weight decay. Needs no page.

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
    this.x = arithmetic.matrix(long, short);
    this.next = arithmetic.matrix(long, short);
    this.gram = arithmetic.matrix(short, short);
    this.factor = arithmetic.matrix(short, short);
    this.turned = arithmetic.matrix(short, long);
  }

  makeStep({ values: weight, rows, columns }, { values: gradient }) {
    const momentum = new Float32Array(gradient.length);
    const update = this.arithmetic.matrix(rows, columns), { values } = update;
    return (lr) => {
      for (let i = 0; i < gradient.length; i++) {
        const g = gradient[i];
        momentum[i] += (1 - MOMENTUM) * (g - momentum[i]);
        values[i] = g + MOMENTUM * (momentum[i] - g);
      }
      const rate = lr * Math.sqrt(Math.max(1, rows / columns));
      const { values: step } = this.orthogonalise(update);
      for (let i = 0; i < weight.length; i++) weight[i] -= rate * step[i];
    };
  }

  // U V^T of the singular value decomposition U S V^T, roughly: five Newton-Schulz steps bring S
  // near 1.
  orthogonalise(matrix) {
    const { arithmetic, gram, factor, turned } = this, isWide = matrix.rows < matrix.columns;
    let { x, next } = this;
    if (isWide) arithmetic.turn(x, matrix);
    else x.values.set(matrix.values);
    scale(x.values, 1 / (Math.sqrt(sumOfSquares(x.values)) + 1e-7));
    for (let step = 0; step < NEWTON_SCHULZ_STEPS; step++) {
      arithmetic.product(gram, x.T, x);
      arithmetic.product(factor, gram, gram);
      makeFactor(factor, gram);
      arithmetic.product(next, x, factor);
      [x, next] = [next, x];
    }
    if (!isWide) return x;
    arithmetic.turn(turned, x);
    return turned;
  }
}

// In place: gram^2 becomes a + b gram + c gram^2.
function makeFactor({ values, rows }, { values: gram }) {
  const [a, b, c] = NEWTON_SCHULZ;
  for (let i = 0; i < values.length; i++) values[i] = b * gram[i] + c * values[i];
  for (let i = 0; i < values.length; i += rows + 1) values[i] += a;
}

function scale(values, factor) {
  for (let i = 0; i < values.length; i++) values[i] *= factor;
}

function sumOfSquares(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] * values[i];
  return sum;
}
