// What stands on the page in place of a widget's model, when a Worker trains: it answers as one
// does, so that a view does not know.

import { makeModel } from "../../shared/model.js";

// A model once the worker has said how things stand. `place` is where the worker's program is. An
// Error where no worker starts.
export async function modelInAWorker(place) {
  const worker = new Worker(place);
  const model = makeModel({}, {
    save() {}, // the view of a training saves nothing
    send: (message) => worker.postMessage(message),
  });
  model.close = () => worker.terminate();
  model.isDeaf = false; // to the worker, while somebody else answers
  return new Promise((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data: { traits, message, buffers } }) => {
      if (model.isDeaf) return;
      for (const [name, value] of Object.entries(traits ?? {})) model.change(name, value);
      if (message) model.tell("msg:custom", message, buffers);
      resolve(model);
    };
  });
}

// Where a page that was given the program as a text has it.
export const programPlace = (program) =>
  URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
