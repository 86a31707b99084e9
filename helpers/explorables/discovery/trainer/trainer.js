// Training, one step at a time, as helpers/training/loop.py has it: a model, a task, the
// optimisers and the generator of the data. Needs no page.

import { Backward } from "./backward.js";
import { Arithmetic } from "./matrix.js";
import { Pass, Weights } from "./model.js";
import { Optimizers } from "./optimizers.js";

// `draw(batch)` gives { tokens, targets, determined } for so many sequences, each part as one row
// behind the other. `training` holds steps, batch, lr and muon_lr.
export class Trainer {
  constructor({ config, training, draw, kernel }) {
    Object.assign(this, { config, training, draw, stepNumber: 0 });
    const arithmetic = this.arithmetic = new Arithmetic(kernel);
    this.weights = new Weights(config, arithmetic);
    this.gradients = new Weights(config, arithmetic);
    this.back = new Backward(new Pass(config, arithmetic), this.weights, this.gradients);
    this.optimizers = new Optimizers(config, arithmetic, this.weights, this.gradients);
  }

  // One update; gives its loss, in nats. An Error, and nothing is updated, when that is not finite.
  step() {
    const { training } = this, loss = this.back.ofBatch(this.draw(training.batch));
    if (!Number.isFinite(loss)) throw this.diverged(loss);
    const remaining = Math.max(1 - this.stepNumber / training.steps, 0); // the rates fall to zero
    this.optimizers.step({
      lr: training.lr * remaining, muon_lr: training.muon_lr * remaining,
    });
    this.stepNumber++;
    return loss;
  }

  diverged(loss) {
    const { lr, muon_lr } = this.training;
    return new Error(`the loss is ${loss} at step ${this.stepNumber + 1}, learning rate ${lr} `
      + `(Muon, muon_lr ${muon_lr}); try a smaller one, from the last snapshot or from the start`);
  }
}
