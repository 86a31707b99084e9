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

// The activations of one sequence on its way through the model, [pos, ...].
export class Pass {
  constructor(config, arithmetic) {
    const { n_layers, n_heads, d_model, d_head, n_ctx, d_vocab, smeared_keys } = config;
    const matrix = (columns, side) => arithmetic.matrix(n_ctx, columns, side);
    const list = (length, make) => Array.from({ length }, make);
    this.makeHead = () => {
      const k = matrix(d_head), keys = smeared_keys ? matrix(d_head) : k; // as they are looked for
      return {
        q: matrix(d_head), k, keys, v: matrix(d_head), z: matrix(d_head), pattern: matrix(n_ctx, 1),
      };
    };
    Object.assign(this, { config, arithmetic, scale: 1 / Math.sqrt(d_head), top: 0 });
    this.resid = list(n_layers + 1, () => matrix(d_model)); // before each layer, and at the end
    this.at = list(n_layers, () => matrix(d_model)); // the same with the positions
    this.heads = list(n_layers, () => list(n_heads, this.makeHead));
    this.across = arithmetic.matrix(d_head, n_ctx); // keys or values, written out by column
    this.logits = matrix(d_vocab);
  }

  // Nobody asks for the logits of the first `top` rows, so that the last layer leaves them out.
  forward(weights, tokens, top = 0) {
    const { arithmetic, resid } = this, { W_E, W_U } = weights.named, { d_model } = this.config;
    this.top = top;
    tokens.forEach((token, row) => {
      const embedding = W_E.values.subarray(token * d_model, (token + 1) * d_model);
      resid[0].values.set(embedding, row * d_model);
    });
    weights.layers.forEach((_, layer) => this.attend(weights, layer, this.topOf(layer)));
    arithmetic.product(this.logits, resid.at(-1), W_U, top);
    return this.logits;
  }

  topOf(layer) {
    return layer === this.config.n_layers - 1 ? this.top : 0;
  }

  attend(weights, layer, top) {
    const { arithmetic, scale, across } = this, at = this.at[layer];
    const x = this.resid[layer], next = this.resid[layer + 1];
    arithmetic.add(at, x, weights.named.W_pos);
    next.values.set(x.values);
    weights.layers[layer].forEach((W, head) => {
      const { q, k, v, z, keys, pattern } = this.heads[layer][head];
      arithmetic.product(q, at, W.Q, top);
      arithmetic.product(k, at, W.K);
      arithmetic.product(v, x, W.V);
      if (W.smear) smear(keys, k, sigmoid(W.smear[0]));
      arithmetic.turn(across, keys);
      arithmetic.product(pattern, q, across, top);
      arithmetic.attend(pattern, scale, top);
      arithmetic.product(z, pattern, v, top);
      arithmetic.addProduct(next, z, W.O, top);
    });
  }
}

// Each key becomes a blend of itself and the key before it; the first stays as it is.
function smear({ values: keys, columns }, { values: k }, gate) {
  keys.set(k.subarray(0, columns));
  for (let i = columns; i < k.length; i++) keys[i] = gate * k[i] + (1 - gate) * k[i - columns];
}

export const sigmoid = (x) => 1 / (1 + Math.exp(-x));

// The loss in nats of the marked rows, each at this weight. `d` takes its derivative by the logits.
export function crossEntropy(arithmetic, logits, targets, marked, weight, d) {
  const { values, rows, columns } = logits;
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * columns, end = start + columns;
    if (!marked[row]) {
      d.values.fill(0, start, end);
      continue;
    }
    let most = -Infinity;
    for (let i = start; i < end; i++) most = Math.max(most, values[i]);
    const sum = arithmetic.exponentials(d, logits, row, most), share = weight / sum;
    for (let i = start; i < end; i++) d.values[i] *= share;
    const target = start + targets[row];
    d.values[target] -= weight;
    loss += weight * (most + Math.log(sum) - values[target]);
  }
  return loss;
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
