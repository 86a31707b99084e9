// The view of Discovery. It keeps every snapshot it is sent and draws the one under the scrubber;
// nothing is asked of the kernel but training. Left stands what happens over the training, right
// what is there at the step under the scrubber.

import { begin, heed, make, newName, onceAFrame } from "../shared/common.js";
import { numbersIn } from "../shared/numbers.js";
import { makeAsking } from "./asking.js";
import { makeControls, makeScrubber } from "./controls.js";
import { makeHistory } from "./history.js";
import { makeMoment } from "./moment.js";
import { Training } from "./training.js";
import { GONE, noteWords } from "./words.js";

const A_WORD_AFTER = 5; // snapshots: the kernel is told that somebody looks

function render({ model, el }) {
  const training = new Training(() => model.get("shape"), () => model.get("row"));
  const me = newName(); // the kernel answers one view's "show", and others need not listen
  let caughtUp = false; // with what was seen before this view opened

  function tell(what, more = {}) {
    try {
      model.send({ do: what, ...more });
    } catch { // the kernel that this view belongs to has gone
      controls.leave();
      note.textContent = GONE;
      note.classList.add("refused");
    }
  }

  // ---- the page

  const draw = onceAFrame(() => {
    if (!training.snapshots.length || !training.fits || !el.isConnected) return;
    for (const part of [asking, history, moment]) part.draw(training);
  });
  const go = (to) => {
    training.go(to);
    draw();
  };
  const controls = makeControls({
    train: () => tell(model.get("status") === "training" ? "pause" : "train"),
    step: () => tell("step"),
    reset: (settings) => tell("reset", { settings }),
  });
  const note = make("p", { class: "note", role: "status" });
  const asking = makeAsking((row) => tell("ask", { row }));
  const scrubber = makeScrubber({
    go, toBirth: () => go(training.born.at),
    goTo: (step) => {
      training.goToStep(step);
      draw();
    },
  });
  const history = makeHistory(training, scrubber, draw);
  const moment = makeMoment(training, el, draw);
  begin(el, "discovery");
  el.append(controls.element, note, asking.element,
    make("div", { class: "views" }, history.element, moment.element), moment.says);

  // ---- what comes from Python

  const state = () => ({
    status: model.get("status"), settings: model.get("settings"), trouble: model.get("trouble"),
    note: model.get("note"),
  });

  function follow() {
    const fallsOut = controls.follow(state());
    if (fallsOut) scrubber.focus(); // or the keyboard leaves the view
    note.classList.toggle("refused", Boolean(model.get("trouble")));
    followRow();
    tellNote();
  }

  const followRow = () => asking.follow(model.get("row"), model.get("trouble"));

  function tellNote() { // read aloud when it changes
    const words = noteWords(state(), training);
    if (note.textContent !== words) note.textContent = words;
  }

  function take({ view, ...snapshot }, [pattern]) {
    if (view === me) caughtUp = true;
    else if (view || !caughtUp) return; // for another view, or newer than what this one waits for
    training.add({ ...snapshot, pattern: numbersIn(pattern, Uint8Array) });
    const isDue = training.snapshots.length % A_WORD_AFTER === 0;
    if (isDue) tell("saw"); // or the kernel takes the view for closed
    tellNote();
    draw();
  }

  function hear(message, buffers) {
    if (message.type === "snapshot") take(message, buffers);
    if (message.type === "answers") {
      training.answer(message.answers);
      draw();
    }
    if (message.type === "reset") {
      training.clear();
      moment.forget();
    }
    if (message.type === "reset" || message.type === "refused") follow();
  }

  const deafen = heed(model, {
    "msg:custom": hear,
    "change:status": follow,
    "change:settings": follow,
    "change:trouble": follow,
    "change:note": follow,
    "change:row": followRow,
    "comm_live_update": () => tell("saw"), // a kernel may have gone: asking finds out
  });
  const resized = new ResizeObserver(draw);
  resized.observe(el);
  follow();
  followRow();
  tell("show", { view: me });
  return () => {
    deafen();
    resized.disconnect();
    tell("closed");
  };
}

export default { render };
