// The sums of Paths: logits of the terms that are on, the loss and the probabilities that follow,
// and what each term is worth. Needs no page.

import { numbersIn, softmax } from "../shared/numbers.js";

export class Sums {
  // The logits [term, pos, d_vocab] stand one after another.
  constructor(scene) {
    this.scene = scene;
    this.logits = numbersIn(scene.logits, Float32Array);
    this.size = scene.pos * scene.d_vocab;
  }

  // The logits of these terms together; `wanted` says of each whether it is one of them.
  of(wanted) {
    const sum = new Float64Array(this.size);
    wanted.forEach((is, term) => {
      const from = term * this.size;
      if (is) for (let i = 0; i < sum.length; i++) sum[i] += this.logits[from + i];
    });
    return sum;
  }

  // Mean loss, in nats, over the rows that count: of these logits, or with `sign` times one
  // term's added.
  loss(sum, term = 0, sign = 0) {
    const { rows, targets, d_vocab } = this.scene;
    let total = 0, count = 0;
    rows.forEach((counts, row) => {
      if (!counts) return;
      const at = row * d_vocab, from = term * this.size + at;
      const logit = (token) => sum[at + token] + sign * this.logits[from + token];
      let most = -Infinity, all = 0;
      for (let token = 0; token < d_vocab; token++) most = Math.max(most, logit(token));
      for (let token = 0; token < d_vocab; token++) all += Math.exp(logit(token) - most);
      total += most + Math.log(all) - logit(targets[row]);
      count++;
    });
    return total / count;
  }

  lossWith(wanted) {
    return this.loss(this.of(wanted));
  }

  // Of every token at every position.
  probabilities(sum) {
    const { d_vocab } = this.scene, all = sum.slice();
    for (let at = 0; at < all.length; at += d_vocab) softmax(all.subarray(at, at + d_vocab));
    return all;
  }

  // What each term, and each group of terms, is worth while these are on: the loss without it less
  // the loss with it, whichever of the two is now.
  worths(on, groups) {
    const sum = this.of(on), now = this.loss(sum);
    const terms = on.map((is, term) =>
      (is ? this.loss(sum, term, -1) - now : now - this.loss(sum, term, 1)));
    const lossWhen = (group, is) => this.lossWith(switched(on, group, is));
    return { terms, groups: groups.map((group) => lossWhen(group, false) - lossWhen(group, true)) };
  }
}

// The switches with those of one group, or one alone, set.
export const switched = (on, group, is) => on.map((was, term) => (group.includes(term) ? is : was));
