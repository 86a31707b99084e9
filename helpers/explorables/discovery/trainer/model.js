// The course's attention-only transformer, helpers/model.py: positions "shortformer", keys smeared
// or not, no normalisation. Needs no page.

import { normal } from "./random.js";

// The shape of every weight, its leading axes run together: [layer * head * d_model, d_head].
export function shapesOf({ n_layers, n_heads, d_model, d_head, n_ctx, d_vocab, smeared_keys }) {
  const heads = n_layers * n_heads, reads = [heads * d_model, d_head];
  const shapes = {
    W_E: [d_vocab, d_model], W_pos: [n_ctx, d_model],
    W_Q: reads, W_K: reads, W_V: reads, W_O: [heads * d_head, d_model], W_U: [d_model, d_vocab],
  };
  return smeared_keys ? { ...shapes, smear: [n_layers, n_heads] } : shapes;
}

// Weights, or their gradients: matrices by name, and those of each head in `layers[layer][head]`.
export class Weights {
  constructor(config, arithmetic) {
    const { n_layers, n_heads } = config;
    this.named = Object.fromEntries(Object.entries(shapesOf(config)).map(([name, shape]) =>
      [name, arithmetic.matrix(...shape)]));
    const [Q, K, V, O] = ["W_Q", "W_K", "W_V", "W_O"].map((name) =>
      this.named[name].split(n_layers * n_heads));
    const smear = this.named.smear?.values; // a number for each head
    const head = (i) => ({ Q: Q[i], K: K[i], V: V[i], O: O[i], smear: smear?.subarray(i, i + 1) });
    this.layers = Array.from({ length: n_layers }, (_, layer) =>
      Array.from({ length: n_heads }, (_, one) => head(layer * n_heads + one)));
  }

  each(action) {
    for (const [name, { values }] of Object.entries(this.named)) action(values, name);
  }
}

// The activations of `batch` sequences on their way through the model, all of length n_ctx. They
// lie as [batch * pos, ...]; a head's are cut by sequence as well, in `sequences`.
export class Pass {
  constructor(config, arithmetic, batch) {
    const { n_layers, n_heads, d_model, d_head, n_ctx, d_vocab } = config;
    const rows = batch * n_ctx, matrix = (columns) => arithmetic.matrix(rows, columns);
    const makeHead = () => cutBySequence(batch, {
      q: matrix(d_head), k: matrix(d_head), v: matrix(d_head), z: matrix(d_head),
      keys: matrix(d_head), // k, smeared or not
      pattern: matrix(n_ctx),
    });
    const list = (length, make) => Array.from({ length }, make);
    Object.assign(this, { config, arithmetic, batch, makeHead, scale: 1 / Math.sqrt(d_head) });
    this.resid = list(n_layers + 1, () => matrix(d_model)); // before each layer, and at the end
    this.at = list(n_layers, () => matrix(d_model)); // the same with the positions
    this.heads = list(n_layers, () => list(n_heads, makeHead));
    this.logits = matrix(d_vocab);
  }

  forward(weights, tokens) {
    const { arithmetic, resid } = this, { W_E, W_U } = weights.named, { d_model } = this.config;
    tokens.forEach((token, row) => {
      const embedding = W_E.values.subarray(token * d_model, (token + 1) * d_model);
      resid[0].values.set(embedding, row * d_model);
    });
    weights.layers.forEach((_, layer) => this.attend(weights, layer));
    arithmetic.product(this.logits, resid.at(-1), W_U);
    return this.logits;
  }

  attend(weights, layer) {
    const { arithmetic, scale } = this, at = this.at[layer], x = this.resid[layer];
    const next = this.resid[layer + 1];
    addPositions(at, x, weights.named.W_pos);
    next.values.set(x.values);
    weights.layers[layer].forEach((W, head) => {
      const { q, k, v, z, keys, pattern, sequences } = this.heads[layer][head];
      arithmetic.product(q, at, W.Q);
      arithmetic.product(k, at, W.K);
      arithmetic.product(v, x, W.V);
      this.smear(keys, k, W.smear);
      for (const one of sequences) arithmetic.product(one.pattern, one.q, one.keys.T);
      arithmetic.attend(pattern, scale);
      for (const one of sequences) arithmetic.product(one.z, one.pattern, one.v);
      arithmetic.addProduct(next, z, W.O);
    });
  }

  // Each key becomes a blend of itself and the key before it; the first stays as it is.
  smear(keys, k, smear) {
    keys.values.set(k.values);
    if (!smear) return;
    const gate = sigmoid(smear[0]);
    this.eachWithNext(k.columns, (here, next) => {
      keys.values[next] = gate * k.values[next] + (1 - gate) * k.values[here];
    });
  }

  // The places of each entry but a sequence's last row, and of the entry in the row after it.
  eachWithNext(columns, action) {
    const { n_ctx } = this.config;
    for (let sequence = 0; sequence < this.batch; sequence++) {
      const start = sequence * n_ctx * columns, end = start + (n_ctx - 1) * columns;
      for (let here = start; here < end; here++) action(here, here + columns);
    }
  }
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));

function cutBySequence(batch, head) {
  const names = Object.keys(head), cut = names.map((name) => head[name].split(batch));
  const sequences = Array.from({ length: batch }, (_, i) =>
    Object.fromEntries(names.map((name, j) => [name, cut[j][i]])));
  return { ...head, sequences };
}

// at = x + W_pos, in every sequence
function addPositions(at, x, W_pos) {
  const size = W_pos.values.length;
  for (let i = 0; i < x.values.length; i++) at.values[i] = x.values[i] + W_pos.values[i % size];
}

// Mean loss in nats over the marked rows. `gradient` takes its derivative by the logits.
export function crossEntropy({ values, rows, columns }, targets, marked, gradient = null) {
  const count = marked.reduce((sum, mark) => sum + (mark ? 1 : 0), 0);
  let loss = 0;
  gradient?.values.fill(0);
  for (let row = 0; row < rows; row++) {
    if (!marked[row]) continue;
    const start = row * columns, logits = values.subarray(start, start + columns);
    let most = -Infinity, sum = 0;
    for (let i = 0; i < columns; i++) most = Math.max(most, logits[i]);
    for (let i = 0; i < columns; i++) sum += Math.exp(logits[i] - most);
    const logSum = most + Math.log(sum), target = targets[row];
    loss += logSum - logits[target];
    if (!gradient) continue;
    for (let i = 0; i < columns; i++)
      gradient.values[start + i] = (Math.exp(logits[i] - logSum) - (i === target ? 1 : 0)) / count;
  }
  return loss / count;
}

// As helpers/model.py draws them; W_pos are sines and cosines, and the gates begin half open.
export function drawWeights(weights, config, random) {
  const { d_model, d_head, init_embed, init_pos, init_weights } = config;
  const read = init_weights / Math.sqrt(d_model), write = init_weights / Math.sqrt(d_head);
  const deviation = { W_E: init_embed, W_Q: read, W_K: read, W_V: read, W_O: write, W_U: read };
  weights.each((values, name) => {
    if (!(name in deviation)) return;
    for (let i = 0; i < values.length; i++) values[i] = deviation[name] * normal(random);
  });
  const wave = init_pos * Math.sqrt(2);
  sinusoids(config).forEach((value, i) => { weights.named.W_pos.values[i] = wave * value; });
}

// Sines and cosines of the position, wavelengths from 2 to 2 n_ctx in even ratios.
function sinusoids({ n_ctx, d_model }) {
  const half = Math.floor((d_model + 1) / 2);
  return Array.from({ length: n_ctx * d_model }, (_, at) => {
    const position = Math.floor(at / d_model), i = at % d_model, pair = Math.floor(i / 2);
    const angle = position * Math.PI * n_ctx ** (half > 1 ? -pair / (half - 1) : 0);
    return i % 2 ? Math.cos(angle) : Math.sin(angle);
  });
}
