// What a view knows of its widget where no JupyterLab is: its state, and what changes. What the
// view saves and sends goes to `wire`: `save(state)` and `send(content, buffers)`.

export function makeModel(state, wire) {
  const listeners = new Map(), unsaved = new Set();
  const tell = (event, ...words) =>
    [...(listeners.get(event) ?? [])].forEach((listener) => listener(...words));

  // Nothing is said of what stays the same: an echo of what this page has said itself is no news.
  function change(name, value) {
    const bytes = value instanceof DataView;
    if (!bytes && JSON.stringify(state[name]) === JSON.stringify(value)) return false;
    state[name] = value;
    tell(`change:${name}`, model, value);
    return true;
  }

  const model = {
    tell,
    change,
    get: (name) => state[name],
    set(name, value) {
      if (change(name, value)) unsaved.add(name);
    },
    on: (event, listener) =>
      listeners.set(event, (listeners.get(event) ?? new Set()).add(listener)),
    off: (event, listener) => listeners.get(event)?.delete(listener),
    save_changes() {
      if (unsaved.size)
        wire.save(Object.fromEntries([...unsaved].map((name) => [name, state[name]])));
      unsaved.clear();
    },
    send: (content, callbacks, buffers) => wire.send(content, buffers),
  };
  return model;
}

// Bytes travel beside the JSON, each with its path in it.
export function withBuffers(state, paths, buffers) {
  paths.forEach((path, i) => {
    const owner = path.slice(0, -1).reduce((value, key) => value[key], state);
    owner[path.at(-1)] = buffers[i];
  });
  return state;
}
