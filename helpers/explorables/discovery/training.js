// What a view of Discovery knows: every snapshot it was sent, the one it shows, and which heads the
// reader chose. Needs no page.

import { clamp, indexOfLargest, indexOfSmallest, largest } from "../shared/numbers.js";
import { everyHead } from "../shared/words.js";

export const BORN = 0.5; // a head is born when its prefix matching passes this
const LEAST_TOP = 0.3; // of the scale of the composition scores

export const sameHead = (a, b) => a[0] === b[0] && a[1] === b[1];

export class Training {
  // `shape()`: the sizes of the model in training, and how many steps it takes; `row()`: what the
  // reader asks.
  constructor(shape, row) {
    this.shape = shape;
    this.row = row;
    this.clear();
  }

  clear() {
    this.snapshots = [];
    this.index = 0; // of the snapshot on show
    this.following = true; // each new one is shown
    this.born = null; // where the first head was born: { at, head }
    this.picked = {}; // what the reader chose: head, writer, reader; the rest follows the training
    this.topComposition = LEAST_TOP;
  }

  add(snapshot) {
    const { snapshots } = this, scores = snapshot.prefix_matching, head = bestHead(scores);
    snapshots.push(snapshot);
    const isBorn = scores[head[0]][head[1]] > BORN;
    if (isBorn) this.born ??= { at: snapshots.length - 1, head };
    this.topComposition = largest((snapshot.composition ?? []).flat(), this.topComposition);
    if (this.following) this.index = snapshots.length - 1;
  }

  get here() {
    return this.snapshots[this.index];
  }

  // Whether what is shown is of the model that `shape` tells of: the sizes of another one come
  // before its first snapshot.
  get fits() {
    const { n_layers, n_heads } = this.shape(), scores = this.here.prefix_matching;
    return scores.length === n_layers && scores[0].length === n_heads;
  }

  // What the model said to the row here, or at the latest step before whose weights were kept.
  get answers() {
    return this.snapshots.slice(0, this.index + 1).findLast(({ answers }) => answers).answers;
  }

  // Another row was asked: the answers to it, one a snapshot.
  answer(answers) {
    this.snapshots.forEach((snapshot, i) => { snapshot.answers = answers[i]; });
  }

  go(to) {
    const last = this.snapshots.length - 1;
    this.index = clamp(to, 0, last);
    this.following = this.index === last;
  }

  // To the snapshot nearest to a step, or to a share of all steps.
  goToShare(share) {
    this.goToStep(share * this.shape().steps);
  }

  goToStep(step) {
    if (!this.snapshots.length) return;
    this.go(indexOfSmallest(this.snapshots, (snapshot) => Math.abs(snapshot.step - step)));
  }

  // ---- heads as [layer, head]

  get heads() {
    return everyHead(this.shape().n_layers, this.shape().n_heads);
  }

  get lastLayer() {
    return this.shape().n_layers - 1;
  }

  // The one that was born first, unless the reader chose another.
  get head() {
    return this.picked.head ?? this.born?.head ?? [this.lastLayer, 0];
  }

  get reader() {
    if (this.picked.reader) return this.picked.reader;
    if (this.head[0] > 0) return this.head;
    return this.born?.head[0] ? this.born.head : [this.lastLayer, 0];
  }

  // Whom the reader may have read: the best previous-token head below it, at the birth or by now.
  get writer() {
    const below = this.reader[0], { writer } = this.picked;
    if (writer && writer[0] < below) return writer;
    const seen = this.born ? this.snapshots[this.born.at] : this.snapshots.at(-1);
    return bestHead(seen.previous_token.slice(0, below)) ?? [0, 0];
  }

  pick(head) {
    this.picked.head = head;
    this.picked[head[0] > 0 ? "reader" : "writer"] = head;
  }

  // The other of the pair moves when it does not stand below or above any more.
  pickWriter(head) {
    const [layer, one] = this.reader;
    this.picked.writer = head;
    if (head[0] >= layer) this.picked.reader = [head[0] + 1, one];
  }

  pickReader(head) {
    this.picked.reader = head;
    if (this.picked.writer?.[0] >= head[0]) delete this.picked.writer;
  }

  // ---- what one snapshot holds

  // A share of attention at the step on show: of the chosen head, from a row to a column.
  attention(row, column) {
    const { n_heads, pos } = this.shape(), [layer, head] = this.head;
    return this.here.pattern[((layer * n_heads + head) * pos + row) * pos + column] / 255;
  }

  // How much of what a writer wrote a reader's keys read.
  composition(snapshot, writer, reader) {
    const { n_heads } = this.shape(), at = ([layer, head]) => layer * n_heads + head;
    return snapshot.composition[at(writer)][at(reader) - n_heads];
  }

  // What one random model in twenty exceeds, by the last snapshot that has an estimate of it.
  get compositionLimit() {
    return this.snapshots.findLast((seen) => seen.composition_limit !== null)?.composition_limit;
  }
}

// The head with the largest of the scores [layer][head]; undefined where there are none.
function bestHead(scores) {
  if (!scores.length) return undefined;
  const best = indexOfLargest(scores.flat()), n_heads = scores[0].length;
  return [Math.floor(best / n_heads), best % n_heads];
}
