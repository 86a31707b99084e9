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

// The loss, the logits and every gradient of one batch; with the instructions that `kernel` names.
export async function gradients({ config, weights, batch, kernel }) {
  const { Arithmetic, Weights, Pass, Backward } = await load("matrix", "model", "backward");
  const arithmetic = new Arithmetic(kernel);
  const made = filled(new Weights(config, arithmetic), weights);
  const slopes = new Weights(config, arithmetic), pass = new Pass(config, arithmetic);
  const loss = new Backward(pass, made, slopes).ofBatch(batch);
  const logits = bySequence(batch.tokens, config).flatMap((tokens) =>
    [...pass.forward(made, tokens).values]);
  return { isSimd: Boolean(arithmetic.kernel), loss, logits, gradients: listed(slopes) };
}

const bySequence = (tokens, { n_ctx }) =>
  Array.from({ length: tokens.length / n_ctx }, (_, i) => tokens.slice(i * n_ctx, (i + 1) * n_ctx));

// The losses and the weights of some steps, each on the batch that is given for it.
export async function steps({ config, weights, batches, training }) {
  const { Trainer } = await load("trainer");
  const given = batches[Symbol.iterator](), draw = () => given.next().value;
  const trainer = new Trainer({ config, training, draw });
  filled(trainer.weights, weights);
  const losses = batches.map(() => trainer.step());
  return { losses, weights: listed(trainer.weights) };
}

// What every head is scored, on the sequences that are given.
export async function scores({ config, weights, sequences }) {
  const { Arithmetic, Weights, Pass, prefixMatching, previousToken, copyingStatistics,
    compositionScores, repeats } = await load("matrix", "model", "scores", "circuits");
  const arithmetic = new Arithmetic(), made = filled(new Weights(config, arithmetic), weights);
  const read = sequences.map((tokens) => Uint16Array.from(tokens));
  const passes = read.map((tokens) => {
    const pass = new Pass(config, arithmetic);
    pass.forward(made, tokens);
    return pass;
  });
  const patterns = made.layers.map((heads, layer) => heads.map((_, head) =>
    passes.map((pass) => pass.heads[layer][head].pattern)));
  const each = (score) => patterns.map((heads) => heads.map(score));
  return {
    prefix_matching: each((seen) => prefixMatching(seen, read)),
    previous_token: each((seen) => previousToken(seen)),
    copying: copyingStatistics(made),
    composition: config.n_layers > 1 ? compositionScores(made) : null,
    repeats: [...repeats(Uint16Array.from(sequences.flat()), config.n_ctx)],
  };
}

// What a model's composition is by chance, from a stream of its own.
export async function composedByChance({ config, weights, draws }) {
  const { Arithmetic, Weights, makeRandom, compositionLimit } =
    await load("matrix", "model", "random", "circuits");
  const made = filled(new Weights(config, new Arithmetic()), weights);
  return compositionLimit(made, makeRandom(0, 1), draws);
}

// A batch of a task, and what the model is scored on.
export async function drawn({ config, task, seed, batch }) {
  const { TASKS, splitPeriods, makeRandom, probe } = await load("tasks", "random", "scores");
  const made = TASKS[task](config, makeRandom(seed))(batch);
  const lists = Object.fromEntries(Object.entries(made).map(([name, part]) => [name, [...part]]));
  const sequences = probe(config, makeRandom(seed), 10).map((tokens) => [...tokens]);
  return { ...lists, probe: sequences, periods: splitPeriods(config.n_ctx) };
}

// The weights that a seed begins with.
export async function begun({ config, seed }) {
  const { Arithmetic, Weights, makeRandom, drawWeights } = await load("matrix", "model", "random");
  const made = new Weights(config, new Arithmetic());
  drawWeights(made, config, makeRandom(seed));
  return listed(made);
}

// A training by the choices of a reader, looked at every few steps until a head is born: the step
// of the birth or null, and the best prefix matching in the end.
export async function birth({ settings, steps }) {
  const { Scene, chosen } = await load("scene", "choices");
  const scene = new Scene(chosen(settings));
  const best = () => Math.max(...scene.look()[0].prefix_matching.flat());
  for (let step = 5; step <= steps; step += 5) {
    for (let i = 0; i < 5; i++) scene.trainer.step();
    if (best() > 0.5) return { step, best: best() };
  }
  return { step: null, best: best() };
}

// One look at a model whose weights are given, and the sequences that it was made on.
export async function look({ settings, weights, row }) {
  const { Scene, chosen } = await load("scene", "choices");
  const scene = new Scene(chosen(settings));
  filled(scene.trainer.weights, weights);
  const kept = scene.keep();
  scene.ask(row);
  const [seen, patterns] = scene.look(), { tokens, targets } = scene.test;
  return {
    seen, patterns: [...patterns], shape: scene.shape(), row: scene.row,
    again: scene.answersOf(kept), test: [[...tokens], [...targets]],
    probe: scene.probe.map((sequence) => [...sequence]), shown: [...scene.shown],
  };
}
