// What is trained, and what is looked at: the reader's choices made into a trainer, and the same
// sequences to look at it with at every step. As helpers/explorables/discovery/scene.py.
// Needs no page.

import { indexOfLargest, softmax } from "../../shared/numbers.js";
import { recipeOf } from "./choices.js";
import { compositionLimit, compositionScores, copyingStatistics } from "./circuits.js";
import { Pass, Weights, crossEntropy, drawWeights } from "./model.js";
import { makeRandom } from "./random.js";
import { prefixMatching, previousToken, probe, repeats, uniformPattern } from "./scores.js";
import { TASKS, repeatedBlocks, splitPeriods } from "./tasks.js";
import { Trainer } from "./trainer.js";

const TESTED = 8, PROBED = 8; // sequences for the losses, and for the scores
const SHOWN = 3; // of ten: the one whose patterns are drawn
const AGAIN = 10; // looks from one null of composition to the next
const HELD_OUT = 0; // the seed of all that the training never sees
const [FOR_WEIGHTS, FOR_DATA, FOR_TESTS, FOR_PROBE, FOR_NULL] = [0, 1, 2, 3, 4];
// Nineteen of twenty random heads have a copying statistic between minus this and this, by d_head:
// `copying_band` of helpers/explorables/discovery/scene.py.
const COPYING_BAND = { 8: 0.3831, 16: 0.205, 32: 0.122, 64: 0.0885 };

export const RIDDLE = "17 4 52 9 31 17 4 52"; // what is asked until the reader asks something else

export class Scene {
  constructor(choices) {
    const { config, training } = recipeOf(choices), makeTask = TASKS[choices.task];
    Object.assign(this, { config, looks: 0 });
    const draw = makeTask(config, makeRandom(choices.seed, FOR_DATA));
    this.trainer = new Trainer({ config, training, draw });
    drawWeights(this.trainer.weights, config, makeRandom(choices.seed, FOR_WEIGHTS));
    this.test = heldOut(config, choices.task, TESTED);
    this.known = repeats(this.test.tokens, config.n_ctx); // the rows whose token came before
    this.new = this.known.map((known) => 1 - known);
    const ten = probe(config, makeRandom(HELD_OUT, FOR_PROBE), 10);
    this.shown = ten[SHOWN];
    this.probe = choices.task === "random periods"
      ? bySequence(heldOut(config, choices.task, PROBED).tokens, config)
      : probe(config, makeRandom(HELD_OUT, FOR_PROBE), PROBED);
    this.read = [...bySequence(this.test.tokens, config), ...this.probe, this.shown];
    this.passes = this.read.map(() => new Pass(config, this.trainer.arithmetic));
    this.scratch = this.trainer.arithmetic.matrix(config.n_ctx, config.d_vocab);
    this.answering = new Pass(config, this.trainer.arithmetic);
    this.remembered = new Weights(config, this.trainer.arithmetic);
    this.ask(RIDDLE);
  }

  // Put another row from now on. An Error, in words, for one that cannot be read.
  ask(typed) {
    this.asked = readRow(typed, this.config);
    this.copied = copiedBy(this.asked);
    this.row = { typed, copied: this.copied === null ? null : nameOf(this.copied) };
  }

  // What stays the same for the whole training: sizes, labels, and where chance lies.
  shape() {
    const { n_layers, n_heads, n_ctx, d_model, d_head, d_vocab } = this.config;
    const tokens = [...this.shown], even = uniformPattern(n_ctx);
    return {
      n_layers, n_heads, steps: this.trainer.training.steps, pos: n_ctx, tokens,
      labels: tokens.map(nameOf), guessing: Math.log(d_vocab - 1),
      chance: prefixMatching(this.probe.map(() => even), this.probe),
      composition_chance: 1 / Math.sqrt(d_model),
      copying_chance: COPYING_BAND[d_head],
    };
  }

  // The model as it stands: its answers to the row, losses in nats, scores of every head,
  // composition of every pair; and the patterns on `shown`, one byte an entry.
  look() {
    const { trainer: { weights, stepNumber }, passes, probe: sequences, config } = this;
    passes.forEach((pass, i) => pass.forward(weights, this.read[i]));
    const probed = passes.slice(TESTED, TESTED + PROBED);
    const each = (score) => weights.layers.map((heads, layer) => heads.map((_, head) =>
      rounded(score(probed.map((pass) => pass.heads[layer][head].pattern)))));
    const isPaired = config.n_layers > 1, isDue = isPaired && this.looks % AGAIN === 0;
    const limit = () => compositionLimit(weights, makeRandom(HELD_OUT, FOR_NULL));
    this.looks++;
    return [{
      step: stepNumber, answers: this.answers(weights),
      loss: this.lossOn(this.known), loss_new: this.lossOn(this.new),
      prefix_matching: each((patterns) => prefixMatching(patterns, sequences)),
      previous_token: each(previousToken),
      copying: copyingStatistics(weights).map((heads) => heads.map((score) => rounded(score))),
      composition: isPaired ? compositionScores(weights).map((row) =>
        row.map((score) => (score === null ? null : rounded(score)))) : null,
      composition_limit: isDue ? rounded(limit()) : null,
    }, this.patterns()];
  }

  // The mean over these rows of the test.
  lossOn(rows) {
    const { config, passes, test, trainer: { arithmetic }, scratch } = this;
    const targets = bySequence(test.targets, config), weight = 1 / rows.reduce((a, b) => a + b);
    return rounded(bySequence(rows, config).reduce((sum, marked, i) => sum
      + crossEntropy(arithmetic, passes[i].logits, targets[i], marked, weight, scratch), 0));
  }

  // On the sequence that is shown, the last of those read: [layer, head, query, key].
  patterns() {
    const shown = this.passes.at(-1).heads.flat().map(({ pattern }) => pattern.values);
    const size = shown[0].length, bytes = new Uint8Array(shown.length * size);
    shown.forEach((values, head) =>
      values.forEach((share, i) => { bytes[head * size + i] = 255 * share + 0.5; })); // rounded
    return bytes;
  }

  // The three best answers after the reader's row, and the probability of what would be copied.
  answers(weights) {
    const { config: { n_ctx, d_vocab }, asked, copied } = this;
    const tokens = new Uint16Array(n_ctx); // what follows the row changes nothing before it
    tokens.set(asked);
    const { values } = this.answering.forward(weights, tokens);
    const end = asked.length * d_vocab, shares = softmax([...values.slice(end - d_vocab, end)]);
    const left = [...shares], best = [];
    for (let i = 0; i < 3; i++) {
      const token = indexOfLargest(left);
      best.push([nameOf(token), rounded(left[token], 6)]);
      left[token] = -1;
    }
    return { best, copied: copied === null ? null : rounded(shares[copied], 6) };
  }

  // The same by the weights of an earlier step, as `keep` gave them.
  answersOf(kept) {
    this.remembered.each((values, name) => values.set(kept[name]));
    return this.answers(this.remembered);
  }

  keep() {
    const kept = {};
    this.trainer.weights.each((values, name) => { kept[name] = values.slice(); });
    return kept;
  }
}

// Sequences of the task that the training never sees: of random periods those that it never draws.
function heldOut(config, task, count) {
  const random = makeRandom(HELD_OUT, FOR_TESTS);
  if (task !== "random periods") return TASKS[task](config, random)(count);
  return repeatedBlocks(config, random, count, splitPeriods(config.n_ctx).unseen);
}

const bySequence = (part, { n_ctx }) =>
  Array.from({ length: part.length / n_ctx }, (_, i) => part.subarray(i * n_ctx, (i + 1) * n_ctx));

const nameOf = (token) => (token === 0 ? "BOS" : String(token));

const rounded = (value, places = 4) => Math.round(value * 10 ** places) / 10 ** places;

// Token ids between spaces or commas, with BOS in front.
function readRow(typed, { n_ctx, d_vocab }) {
  const words = typed.replaceAll(",", " ").split(/\s+/).filter(Boolean), most = n_ctx - 1;
  const wrong = words.find((word) => !/^[0-9]+$/.test(word) || +word < 1 || +word >= d_vocab);
  if (wrong !== undefined)
    throw new Error(`'${wrong}' is no token; tokens are whole numbers from 1 to ${d_vocab - 1}, `
      + "with spaces between them");
  if (!words.length || words.length > most)
    throw new Error(`${words.length} tokens in the row; type 1 to ${most}, such as ${RIDDLE}`);
  return [0, ...words.map(Number)];
}

// The token right after the latest earlier copy of the last one; null where there is none.
function copiedBy(tokens) {
  const before = tokens.slice(0, -1).lastIndexOf(tokens.at(-1));
  return before < 1 ? null : tokens[before + 1];
}
