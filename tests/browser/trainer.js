// What test_training_*.py ask of the trainer that runs in a browser tab. Arrays come and go as
// lists: float32 has at most nine digits, and JSON keeps them.

const PLACE = "/helpers/explorables/discovery/trainer";

async function load(...names) {
  const modules = await Promise.all(names.map((name) => import(`${PLACE}/${name}.js`)));
  return Object.assign({}, ...modules);
}

function filled(weights, given) {
  weights.each((values, name) => values.set(given[name]));
  return weights;
}

function listed(weights) {
  const lists = {};
  weights.each((values, name) => { lists[name] = [...values]; });
  return lists;
}

// The loss, the logits and every gradient of one batch.
export async function gradients(_, { config, weights, batch, simd }) {
  const { Arithmetic, Weights, Pass, Backward, crossEntropy } =
    await load("matrix", "model", "backward");
  const arithmetic = new Arithmetic(simd), made = filled(new Weights(config, arithmetic), weights);
  const slopes = new Weights(config, arithmetic);
  const pass = new Pass(config, arithmetic, batch.tokens.length / config.n_ctx);
  const back = new Backward(pass);
  const logits = pass.forward(made, batch.tokens);
  const loss = crossEntropy(logits, batch.targets, batch.determined, back.logits);
  back.backward(made, slopes, batch.tokens);
  return { isSimd: Boolean(arithmetic.kernel), loss, logits: [...logits.values],
    gradients: listed(slopes) };
}

// The losses and the weights of some steps, each on the batch that is given for it.
export async function steps(_, { config, weights, batches, training, simd }) {
  const { Trainer } = await load("trainer");
  const given = batches[Symbol.iterator](), draw = () => given.next().value;
  const trainer = new Trainer({ config, training, draw, withSimd: simd });
  filled(trainer.weights, weights);
  const losses = batches.map(() => trainer.step());
  return { losses, weights: listed(trainer.weights) };
}
