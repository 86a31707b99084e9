// In place of a kernel: what a view is answered on a page that has none. `opening` is what Python
// said, when the page was made, to a view that opens.

import { makeModel } from "../../explorables/shared/model.js";
import { modelOfTraining } from "./training.js";

const SAY = "Your word first, before you read on.";
const CAME = /^(You said .*; it|It) was /m; // as Python prints it, in a cell further down

const ANSWERS = {
  prediction: hearPrediction,
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

function hearPrediction(model, _, place) {
  const came = outcomeBelow(place);
  model.change("says", SAY);
  return ({ choice, number, view }) => {
    const words = [choice, number].filter((word) => word !== "" && word !== null).join(" at ");
    model.change("said", { choice, number });
    model.change("says", words ? `You say ${words}. What came stands further down.` : SAY);
    const said = words ? `You said ${words}; it was ` : "It was ";
    if (came) came.textContent = came.textContent.replace(CAME, () => said);
    model.tell("msg:custom", { heard: view }, []);
  };
}

// Nobody reads what is typed, so no box stands there to type in.
function offerNoReading(model) {
  model.change("most", 0);
}

const outcomeBelow = (place) => [...document.querySelectorAll("main pre")].find((output) =>
  place.compareDocumentPosition(output) & Node.DOCUMENT_POSITION_FOLLOWING
  && CAME.test(output.textContent));
