// In place of a kernel: what a view is answered on a page that has none. `opening` is what Python
// said, when the page was made, to a view that opens.

import { makeModel } from "../../explorables/shared/model.js";
import { hearPrediction } from "./prediction.js";
import { modelOfTraining } from "./training.js";

const ANSWERS = {
  prediction: (model, opening, place) => hearPrediction(model, place),
  attention: offerNoReading,
  virtual_weights: (model, opening) => () =>
    opening.forEach(({ content, buffers }) => model.tell("msg:custom", content, buffers)),
};

// What a view takes for its widget. As over a wire, an answer comes after whoever asks has done.
export async function modelFor(view, { state, opening }, place) {
  if (view === "discovery") return modelOfTraining(state);
  const model = makeModel(state, {
    save() {}, // nobody is there to keep it
    send: (message) => answer && queueMicrotask(() => answer(message)),
  });
  const answer = ANSWERS[view]?.(model, opening, place);
  return model;
}

// Nobody reads what is typed, so no box stands there to type in.
function offerNoReading(model) {
  model.change("most", 0);
}
