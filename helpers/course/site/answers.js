// In place of a kernel: what a view is answered on a page that has none. `opening` is what Python
// said, when the page was made, to a view that opens.

import { makeModel } from "../../explorables/shared/model.js";
import { modelOfTraining } from "./training.js";

const NO_MODEL = "This page has no model to read a text with. "
  + "In JupyterLab (make lab) it reads yours.";
const SAY = "Your word first, before you read on.";

const ANSWERS = {
  prediction: hearPrediction,
  attention: refuseText,
  virtual_weights: (model, opening) => () =>
    opening.forEach(({ content, buffers }) => model.tell("msg:custom", content, buffers)),
};

// What a view takes for its widget. As over a wire, an answer comes after whoever asks has done.
export async function modelFor(view, { state, opening }) {
  if (view === "discovery") return modelOfTraining(state);
  const model = makeModel(state, {
    save() {}, // nobody is there to keep it
    send: (message) => answer && queueMicrotask(() => answer(message)),
  });
  const answer = ANSWERS[view]?.(model, opening);
  return model;
}

function hearPrediction(model) {
  model.change("says", SAY);
  return ({ choice, number, view }) => {
    const words = [choice, number].filter((word) => word !== "" && word !== null).join(" at ");
    model.change("said", { choice, number });
    model.change("says", words ? `You say ${words}. What came stands further down.` : SAY);
    model.tell("msg:custom", { heard: view }, []);
  };
}

function refuseText(model) {
  return () => {
    model.change("trouble", NO_MODEL);
    model.tell("msg:custom", { type: "answered" }, []);
  };
}
