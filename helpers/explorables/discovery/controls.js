// The controls of Discovery: buttons, what there is to choose, and the scrubber.

import { make, options } from "../shared/common.js";
import { newsWords } from "./words.js";

const GOES = ["ready", "training", "paused"]; // the states in which a training can go on

// `on.train()`, `on.step()` and `on.reset(settings)` say what was pressed.
export function makeControls(on) {
  const train = make("button", { class: "main", onclick: on.train });
  const step = make("button", { onclick: on.step }, "Step");
  const reset = make("button", { onclick: () => on.reset(settings()) }, "Reset");
  const inputs = {
    task: make("select", {}, ...options(["random periods", "one fixed period", "text"])),
    n_layers: make("select", {}, ...options([1, 2, 3])),
    n_heads: make("select", {}, ...options([1, 2, 4, 8])),
    smeared_keys: make("input", { type: "checkbox" }),
    muon_lr: make("input", { type: "number", min: 0.001, max: 1, step: 0.005 }),
    seed: make("input", { type: "number", min: 0, step: 1 }),
  };
  let typing; // the input in which a number is half written: no answer may overwrite it
  for (const [name, input] of Object.entries(inputs)) {
    input.addEventListener("input", () => { typing = input; });
    input.addEventListener("change", () => {
      typing = undefined;
      const { muon_lr, ...others } = settings();
      on.reset(name === "task" ? others : { ...others, muon_lr }); // a task brings its own rate
    });
  }
  const everything = [train, step, reset, ...Object.values(inputs)];
  const numberIn = ({ value }, empty) => (value === "" ? empty : +value);

  function settings() {
    return {
      n_layers: +inputs.n_layers.value, n_heads: +inputs.n_heads.value,
      smeared_keys: inputs.smeared_keys.checked, task: inputs.task.value,
      muon_lr: numberIn(inputs.muon_lr, 0), seed: numberIn(inputs.seed, -1), // refused, in words
    };
  }

  // Show how things stand. True if the focus stood on a button that is now disabled.
  function follow({ status, settings: chosen }) {
    const over = !GOES.includes(status), held = [train, step].includes(document.activeElement);
    train.textContent = status === "training" ? "Pause" : "Train";
    train.disabled = step.disabled = over;
    if (status !== "loading") // until then they keep what the reader chose
      for (const [name, input] of Object.entries(inputs))
        if (name === "smeared_keys") input.checked = chosen[name];
        else if (input !== typing) input.value = chosen[name];
    return over && held;
  }

  // There is nobody left to train.
  function leave() {
    train.textContent = "No kernel";
    for (const one of everything) one.disabled = true;
  }

  const names = {
    task: ["data", "what the model reads"],
    n_layers: ["layers", "each reads what earlier ones have written"],
    n_heads: ["heads", "of each layer, side by side"],
    smeared_keys: ["smeared keys", "each key has a bit of the key before it mixed in"],
    muon_lr: ["learning rate", "how large the steps are"],
    seed: ["seed", "which random start, and which data"],
  };
  const element = make("div", { class: "row" }, train, step, reset,
    ...Object.entries(names).map(([name, [words, title]]) =>
      make("label", { title }, words, inputs[name])));
  return { element, follow, leave };
}

// On the axis of the graphs: `goTo(step)`, along the snapshots `go(index)`, and `toBirth()`.
export function makeScrubber({ goTo, go, toBirth }) {
  let at = 0, last = 0;
  const scrubber = make("input", {
    type: "range", min: 0, max: 1, step: 1, "aria-label": "Scrub through the training",
    oninput: () => goTo(+scrubber.value),
    onkeydown: (event) => {
      const to = snapshotByKey(event.key, at, last);
      if (to === undefined) return;
      event.preventDefault(); // a key goes to another snapshot, not to another step
      go(to);
    },
  });
  const where = make("span", { class: "where" });
  const news = make("span", { role: "status" });
  const birth = make("button", { disabled: "", onclick: toBirth }, "To the birth");

  function draw(training) {
    const { here, snapshots, index, born, shape } = training, words = newsWords(training);
    if (news.textContent !== words) news.textContent = words;
    [at, last] = [index, snapshots.length - 1];
    scrubber.max = shape().steps;
    scrubber.value = here.step;
    scrubber.setAttribute("aria-valuetext",
      `step ${here.step}, look ${index + 1} of ${snapshots.length}`);
    where.textContent = `step ${here.step} of ${shape().steps}`;
    birth.disabled = !born;
    birth.title = born ? "the first head passes one half" : "no head has passed one half yet";
  }

  const element = make("div", { class: "scrub" }, scrubber,
    make("div", { class: "row" }, where, news, birth));
  return { element, draw, focus: () => scrubber.focus({ preventScroll: true }) };
}

function snapshotByKey(key, at, last) {
  const steps = {
    Home: -last, PageDown: -10, ArrowLeft: -1, ArrowDown: -1, ArrowUp: 1, ArrowRight: 1, PageUp: 10,
    End: last,
  };
  return key in steps ? at + steps[key] : undefined;
}
