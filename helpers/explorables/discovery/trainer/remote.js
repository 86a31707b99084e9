// What stands on the page in place of a widget's model, when a Worker trains: it answers `get`,
// `on`, `off` and `send` as one does, so that a view does not know.

// A model once the worker has said how things stand. `place` is where the worker's program is.
export function modelInAWorker(place) {
  const worker = new Worker(place), state = {}, listeners = new Map();
  const fire = (event, ...words) =>
    [...listeners.get(event) ?? []].forEach((listener) => listener(...words));
  const model = {
    get: (name) => state[name],
    set: () => {}, // the view of a training saves nothing
    save_changes: () => {},
    on: (event, listener) =>
      listeners.set(event, (listeners.get(event) ?? new Set()).add(listener)),
    off: (event, listener) => listeners.get(event)?.delete(listener),
    send: (message) => worker.postMessage(message),
    close: () => worker.terminate(),
  };
  return new Promise((resolve, reject) => {
    worker.onerror = (event) => reject(new Error(event.message));
    worker.onmessage = ({ data: { traits, message, buffers } }) => {
      Object.assign(state, traits);
      Object.keys(traits ?? {}).forEach((name) => fire(`change:${name}`, model, state[name]));
      if (message) fire("msg:custom", message, buffers);
      resolve(model);
    };
  });
}
