// What the controls say, made into a model and its training: the default recipe of
// helpers/training/recipes.py, with what helpers/explorables/discovery/scene.py lets one choose.
// Needs no page.

import { TASKS } from "./tasks.js";

const MODEL = { d_model: 64, n_ctx: 48, d_vocab: 64 };
const DRAWN = { init_embed: 0.5, init_pos: 0.5, init_weights: 0.5 }; // standard deviations
const TRAINING = { steps: 400, batch: 24, lr: 0.01 };
const DEFAULTS = {
  n_layers: 2, n_heads: 4, smeared_keys: false, task: "random periods", seed: 0, muon_lr: 0.03,
};

// These choices with some of them changed. An Error says in words what cannot be.
export function chosen(settings, before = DEFAULTS) {
  const choices = { ...before, ...settings };
  if (choices.task !== before.task) choices.muon_lr = settings.muon_lr ?? DEFAULTS.muon_lr;
  const wrong = Object.keys(DEFAULTS).map((name) => REFUSED[name](choices[name])).find(Boolean);
  if (wrong) throw new Error(wrong);
  return choices;
}

const REFUSED = {
  task: (task) => !(task in TASKS) && (task === "text"
    ? "a text is not trained on in a browser tab; take the notebook, or another task"
    : `no task is called ${task}; choose one of ${Object.keys(TASKS).join(", ")}`),
  n_layers: (layers) => ![1, 2, 3].includes(layers) && `${layers} layers; choose 1, 2 or 3`,
  n_heads: (heads) => ![1, 2, 4, 8].includes(heads) && `${heads} heads a layer; choose 1, 2, 4 or 8`
    + ", which share the model's dimensions evenly",
  smeared_keys: (smeared) => typeof smeared !== "boolean"
    && `smeared_keys is ${smeared}; choose true or false`,
  muon_lr: (rate) => !(typeof rate === "number" && rate > 0 && rate <= 1)
    && `a learning rate of ${rate}; choose one above 0 and up to 1, such as 0.03`,
  seed: (seed) => !(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)
    && `seed ${seed}; choose a whole number from 0 up, below 2 to the power of 32`,
};

export function recipeOf({ n_layers, n_heads, smeared_keys, muon_lr }) {
  const d_head = MODEL.d_model / n_heads; // the heads share the dimensions
  return {
    config: { ...MODEL, ...DRAWN, n_layers, n_heads, d_head, smeared_keys },
    training: { ...TRAINING, muon_lr },
  };
}
