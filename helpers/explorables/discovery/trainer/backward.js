// The gradient of a loss by every weight, by hand: the forward pass of `model.js` from its end to
// its beginning. `dx` is the derivative of the loss by x. Needs no page.

import { crossEntropy, sigmoid } from "./model.js";

export class Backward {
  // `pass` goes forward; its activations are what the products are taken with.
  constructor(pass, weights, gradients) {
    const { arithmetic, config, resid, logits } = pass;
    const like = ({ rows, columns }) => arithmetic.matrix(rows, columns);
    Object.assign(this, { pass, arithmetic, config, weights, gradients });
    this.logits = like(logits);
    this.x = like(resid[0]); // behind a layer
    this.below = like(resid[0]); // before it
    this.at = like(resid[0]);
    this.head = pass.makeHead(); // one head's at a time
    this.turned = []; // weights, as a derivative goes back through them, each with its transpose
    const turn = (A) => {
      const B = like(A.T);
      this.turned.push([B, A]);
      return B;
    };
    this.unembed = turn(weights.named.W_U);
    this.back = weights.layers.map((heads) => heads.map(({ Q, K, V, O }) =>
      ({ Q: turn(Q), K: turn(K), V: turn(V), O: turn(O) })));
  }

  // The mean loss, in nats, over the rows that are determined, and with it the gradients: one
  // sequence at a time, from its first such row on.
  ofBatch({ tokens, targets, determined }) {
    const { arithmetic, pass, config: { n_ctx }, weights, gradients } = this;
    const weight = 1 / determined.reduce((sum, one) => sum + one, 0);
    gradients.each((values) => values.fill(0));
    for (const [B, A] of this.turned) arithmetic.turn(B, A);
    let loss = 0;
    for (let start = 0; start < tokens.length; start += n_ctx) {
      const [read, asked, marked] = [tokens, targets, determined].map((part) =>
        part.slice(start, start + n_ctx));
      const first = marked.findIndex((one) => one);
      if (first < 0) continue;
      const logits = pass.forward(weights, read, first & -4); // the kernel takes rows by fours
      loss += crossEntropy(arithmetic, logits, asked, marked, weight, this.logits);
      this.backward(read);
    }
    return loss;
  }

  // From the derivative by the logits, which stands in `this.logits`, on to the gradients.
  backward(tokens) {
    const { arithmetic, pass, x } = this, { d_model, n_layers } = this.config, { top } = pass;
    const { W_U, W_E } = this.gradients.named;
    arithmetic.addProduct(W_U, pass.resid.at(-1).T, this.logits, top);
    x.values.fill(0, 0, top * d_model);
    arithmetic.product(x, this.logits, this.unembed, top);
    for (let layer = n_layers - 1; layer >= 0; layer--) this.throughLayer(layer, pass.topOf(layer));
    tokens.forEach((token, row) => {
      for (let i = 0; i < d_model; i++)
        W_E.values[token * d_model + i] += x.values[row * d_model + i];
    });
  }

  throughLayer(layer, top) {
    const { arithmetic, pass, x, below, at, head: d } = this, { W_pos } = this.gradients.named;
    const read = { x: pass.resid[layer], at: pass.at[layer] };
    below.values.set(x.values);
    at.values.fill(0);
    this.back[layer].forEach((back, head) => {
      const seen = pass.heads[layer][head], dW = this.gradients.layers[layer][head];
      const { smear } = this.weights.layers[layer][head];
      arithmetic.product(d.z, x, back.O, top);
      arithmetic.addProduct(dW.O, seen.z.T, x, top);
      this.throughAttention(seen, top);
      if (smear) dW.smear[0] += throughSmear(d, seen.k, sigmoid(smear[0]));
      arithmetic.addProduct(dW.Q, read.at.T, d.q, top);
      arithmetic.addProduct(dW.K, read.at.T, d.k);
      arithmetic.addProduct(dW.V, read.x.T, d.v);
      arithmetic.addProduct(at, d.q, back.Q, top);
      arithmetic.addProduct(at, d.k, back.K);
      arithmetic.addProduct(below, d.v, back.V);
    });
    arithmetic.add(W_pos, W_pos, at);
    arithmetic.add(x, below, at);
  }

  // z = softmax(scale * q keys^T) v
  throughAttention({ pattern, q, keys, v }, top) {
    const { arithmetic, pass: { scale, across }, head: d } = this;
    arithmetic.turn(across, v);
    arithmetic.product(d.pattern, d.z, across, top);
    arithmetic.product(d.v, pattern.T, d.z, top);
    arithmetic.throughSoftmax(d.pattern, pattern, scale, top);
    arithmetic.product(d.q, d.pattern, keys, top);
    arithmetic.product(d.keys, d.pattern.T, q, top);
  }
}

// keys_i = gate k_i + (1 - gate) k_{i-1}, with the raw keys: to undo the blend instead would blow
// up small errors where the gate is below one half. Gives the derivative by the gate's logit.
function throughSmear({ keys, k: { values: dk } }, { values: k, columns }, gate) {
  const dKeys = keys.values;
  let dGate = 0;
  dk.set(dKeys);
  for (let here = 0, next = columns; next < k.length; here++, next++) {
    dk[next] -= (1 - gate) * dKeys[next];
    dk[here] += (1 - gate) * dKeys[next];
    dGate += dKeys[next] * (k[next] - k[here]);
  }
  return dGate * gate * (1 - gate);
}
