// The gradient of a loss by every weight, by hand: the forward pass of `model.js` from its end to
// its beginning. `dx` is the derivative of the loss by x. Needs no page.

import { sigmoid } from "./model.js";

export class Backward {
  // `pass` has gone forward; its activations are what the products are taken with.
  constructor(pass) {
    const { arithmetic, config, resid, logits } = pass;
    const like = ({ rows, columns }) => arithmetic.matrix(rows, columns);
    Object.assign(this, { pass, arithmetic, config });
    this.logits = like(logits);
    this.x = like(resid[0]); // behind a layer
    this.below = like(resid[0]); // before it
    this.at = like(resid[0]);
    this.head = pass.makeHead(); // one head's at a time
  }

  // From the derivative by the logits, which stands in `this.logits`, into `gradients`.
  backward(weights, gradients, tokens) {
    const { arithmetic, pass, x } = this, { W_U } = weights.named, d = gradients.named;
    gradients.each((values) => values.fill(0));
    arithmetic.product(d.W_U, pass.resid.at(-1).T, this.logits);
    arithmetic.product(x, this.logits, W_U.T);
    for (let layer = weights.layers.length - 1; layer >= 0; layer--)
      this.throughLayer(weights, gradients, layer);
    const { d_model } = this.config;
    tokens.forEach((token, row) => {
      for (let i = 0; i < d_model; i++)
        d.W_E.values[token * d_model + i] += x.values[row * d_model + i];
    });
  }

  throughLayer(weights, gradients, layer) {
    const { arithmetic, pass, x, below, at } = this, { W_pos } = gradients.named;
    const read = { x: pass.resid[layer], at: pass.at[layer] }, d = this.head;
    below.values.set(x.values);
    at.values.fill(0);
    weights.layers[layer].forEach((W, head) => {
      const seen = pass.heads[layer][head], dW = gradients.layers[layer][head];
      arithmetic.product(d.z, x, W.O.T);
      arithmetic.addProduct(dW.O, seen.z.T, x);
      this.throughAttention(seen);
      this.throughSmear(seen.k, W.smear, dW.smear);
      for (const [side, input] of [["q", "at"], ["k", "at"], ["v", "x"]]) {
        const name = side.toUpperCase();
        arithmetic.addProduct(dW[name], read[input].T, d[side]);
        arithmetic.addProduct(input === "at" ? at : below, d[side], W[name].T);
      }
    });
    const size = W_pos.values.length;
    for (let i = 0; i < at.values.length; i++) {
      W_pos.values[i % size] += at.values[i];
      x.values[i] = below.values[i] + at.values[i];
    }
  }

  // z = softmax(scale * q keys^T) v
  throughAttention({ pattern, sequences }) {
    const { arithmetic, head: d } = this;
    sequences.forEach((seen, i) => {
      const { z, v, pattern: dPattern } = d.sequences[i];
      arithmetic.product(dPattern, z, seen.v.T);
      arithmetic.product(v, seen.pattern.T, z);
    });
    throughSoftmax(d.pattern, pattern, this.pass.scale);
    sequences.forEach((seen, i) => {
      const { q, keys, pattern: dScores } = d.sequences[i];
      arithmetic.product(q, dScores, seen.keys);
      arithmetic.product(keys, dScores.T, seen.q);
    });
  }

  // keys_i = gate k_i + (1 - gate) k_{i-1}, with the raw keys: to undo the blend instead would blow
  // up small errors where the gate is below one half.
  throughSmear(k, smear, dSmear) {
    const { keys: { values: dKeys }, k: { values: dk } } = this.head;
    dk.set(dKeys);
    if (!smear) return;
    const gate = sigmoid(smear[0]);
    let dGate = 0;
    this.pass.eachWithNext(k.columns, (here, next) => {
      dk[next] -= (1 - gate) * dKeys[next];
      dk[here] += (1 - gate) * dKeys[next];
      dGate += dKeys[next] * (k.values[next] - k.values[here]);
    });
    dSmear[0] = dGate * gate * (1 - gate);
  }
}

// In place: the derivative by the attention becomes that by the scores before the scale.
function throughSoftmax({ values: d, rows, columns }, { values: pattern }, scale) {
  for (let row = 0; row < rows; row++) {
    const start = row * columns, end = start + (row % columns) + 1;
    let mean = 0; // as the attention weighs it
    for (let i = start; i < end; i++) mean += d[i] * pattern[i];
    for (let i = start; i < end; i++) d[i] = scale * pattern[i] * (d[i] - mean);
    d.fill(0, end, start + columns);
  }
}
