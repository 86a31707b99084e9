// Discovery where no kernel is: it hears what a view says and answers as
// helpers/explorables/discovery/__init__.py does, so that the view does not know who trains.
// Needs no page.

import { largest } from "../../shared/numbers.js";
import { chosen } from "./choices.js";
import { Scene } from "./scene.js";

const SLICE = 35; // milliseconds between two chances for Pause
const EVERY = 5; // steps between two looks ...
const CLOSE = 0.25; // ... but none, where the best prefix matching is above this
const BIRTH = 0.5; // and no head is born: none is above this
const MOST_KEPT = 160; // weights, to ask another row of: then every second goes

// `tell(traits)` says what has changed of the widget's state, `send(message, bytes)` is for the
// view, `later(action)` lets messages come in between.
export class Answering {
  constructor({ tell, send, later }) {
    Object.assign(this, { send, later, views: 0 });
    this.tell = (traits) => {
      Object.assign(this, traits);
      tell(traits);
    };
    this.open(chosen({}));
  }

  hear(message) {
    const actions = {
      train: () => this.train(), pause: () => this.pause(), step: () => this.step(),
      show: () => this.show(message.view), closed: () => this.closed(),
      ask: () => this.ask(message.row), reset: () => this.reset(message.settings), saw: () => {},
    };
    actions[message.do]?.();
  }

  open(choices, scene = new Scene(choices)) {
    Object.assign(this, { choices, scene, snapshots: [], kept: [], spent: 0 });
    this.tell({
      settings: choices, shape: scene.shape(), row: scene.row, status: "ready", trouble: "",
      note: "",
    });
    this.send({ type: "reset" });
    this.snapshot();
  }

  // ---- what the buttons do

  train() {
    if (!["ready", "paused"].includes(this.status)) return;
    this.tell({ status: "training" });
    const { scene } = this;
    const go = () => {
      if (this.status !== "training" || this.scene !== scene) return;
      this.advance(SLICE);
      if (this.status === "training") this.later(go);
    };
    this.later(go);
  }

  pause() {
    if (this.status === "training") this.rest("paused");
  }

  step() {
    this.pause();
    if (!["ready", "paused"].includes(this.status)) return;
    this.advance(0);
    if (this.status !== "stopped") this.rest(this.isFinished ? "finished" : "paused");
  }

  reset(settings) {
    try {
      const choices = chosen(settings, this.choices), scene = new Scene(choices);
      scene.ask(this.row.typed); // the reader's row stays
      this.pause();
      this.open(choices, scene);
    } catch (error) {
      this.tell({ trouble: `refused: ${error.message}` });
      this.send({ type: "refused" }); // the controls go back to what they were
    }
  }

  ask(typed) {
    const { scene, kept } = this;
    try {
      scene.ask(typed);
    } catch (error) {
      return this.tell({ trouble: `refused: ${error.message}` }); // what was typed stands
    }
    this.snapshots.forEach(({ seen }, i) => {
      seen.answers = kept[i] && scene.answersOf(kept[i]);
    });
    this.tell({ row: scene.row, trouble: "" });
    this.send({ type: "answers", answers: this.snapshots.map(({ seen }) => seen.answers) });
  }

  // A new view gets all that was seen so far; by its name the others know that they need not.
  show(view) {
    this.views++;
    for (const { seen, patterns } of this.snapshots)
      this.send({ type: "snapshot", ...seen, view }, patterns);
  }

  closed() {
    this.views--;
    if (this.views <= 0) this.pause();
  }

  // ---- the loop

  get isFinished() {
    return this.scene.trainer.stepNumber >= this.scene.trainer.training.steps;
  }

  // Train for so many milliseconds, one step at least and up to the next look.
  advance(slice) {
    const start = performance.now();
    try {
      do this.scene.trainer.step();
      while (!this.isFinished && !this.isDue && performance.now() - start < slice);
    } catch (error) { // nobody awaits this: without these words it would end in silence
      this.tell({ status: "stopped", trouble: `stopped: ${error.message}` });
      return;
    }
    this.spent += performance.now() - start;
    if (this.isFinished) this.rest("finished");
    else if (this.isDue) this.snapshot();
  }

  // What one sees is where the training stands.
  rest(status) {
    if (this.scene.trainer.stepNumber > this.snapshots.at(-1).seen.step) this.snapshot();
    if (this.status !== status) this.tell({ status });
  }

  // Every so many steps, and each while a head is being born.
  get isDue() {
    const best = largest(this.snapshots.at(-1).seen.prefix_matching.flat());
    const { stepNumber } = this.scene.trainer;
    return stepNumber % EVERY === 0 || (CLOSE < best && best <= BIRTH);
  }

  snapshot() {
    const start = performance.now(), [seen, patterns] = this.scene.look();
    const isFirst = !this.snapshots.length; // which is not part of the training
    if (!isFirst) this.spent += performance.now() - start;
    seen.seconds = Math.round(this.spent) / 1000;
    this.snapshots.push({ seen, patterns });
    this.keep();
    this.send({ type: "snapshot", ...seen }, patterns);
  }

  keep() {
    this.kept.push(this.scene.keep());
    const full = this.kept.flatMap((weights, i) => (weights ? [i] : []));
    if (full.length > MOST_KEPT)
      full.slice(1, -1).filter((_, i) => i % 2 === 0).forEach((i) => { this.kept[i] = null; });
  }
}
