// What JupyterLab and anywidget's own JavaScript do for a view, as little as will do: a model whose state and messages
// go to Python and back, and a place for the view. `window.sendToPython` and `window.hearPython` are the wire.

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const unpack = (text) => new DataView(bytes(text).buffer); // as in JupyterLab
const pack = (buffer) => {
  const view = ArrayBuffer.isView(buffer) ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength) : new Uint8Array(buffer);
  return btoa(Array.from(view, (byte) => String.fromCharCode(byte)).join(""));
};

// Bytes travel beside the JSON, each with its path in it.
function withBuffers({ state, buffer_paths }, buffers) {
  buffer_paths.forEach((path, i) => {
    const owner = path.slice(0, -1).reduce((value, key) => value[key], state);
    owner[path.at(-1)] = buffers[i];
  });
  return state;
}

function makeModel(id, state) {
  const listeners = new Map(), unsaved = new Set();
  const post = (data, buffers = []) => window.sendToPython(JSON.stringify({ id, data, buffers: buffers.map(pack) }));
  const tell = (event, ...words) => [...(listeners.get(event) ?? [])].forEach((listener) => listener(...words));
  function change(name, value) {
    if (JSON.stringify(state[name]) === JSON.stringify(value) && !(value instanceof DataView)) return false;
    state[name] = value;
    tell(`change:${name}`, model, value);
    return true;
  }
  const model = {
    tell,
    get: (name) => state[name],
    set: (name, value) => { if (change(name, value)) unsaved.add(name); },
    on: (event, listener) => listeners.set(event, (listeners.get(event) ?? new Set()).add(listener)),
    off: (event, listener) => listeners.get(event)?.delete(listener),
    save_changes() {
      if (unsaved.size) post({ method: "update", state: Object.fromEntries([...unsaved].map((name) => [name, state[name]])), buffer_paths: [] });
      unsaved.clear();
    },
    send(content, callbacks, buffers) {
      if (model.gone) throw new Error("Cannot send"); // as after a restart of the kernel
      post({ method: "custom", content }, buffers);
    },
    hear(data, buffers) { // an echo of what this page has said itself is no news
      if (data.method === "custom") tell("msg:custom", data.content, buffers);
      if (data.method === "update") for (const [name, value] of Object.entries(withBuffers(data, buffers))) change(name, value);
    },
  };
  return model;
}

const models = new Map(), modules = new Map();
window.views = []; // each with its place and what takes it away

window.hearPython = (text) => {
  const { id, data, buffers } = JSON.parse(text);
  models.get(id)?.hear(data, buffers.map(unpack));
};

// A view of the widget `id`. Its state is sent with the first one.
window.openView = async (text) => {
  const { id, esm, css, data, buffers } = JSON.parse(text);
  if (!modules.has(esm)) {
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    modules.set(esm, import(URL.createObjectURL(new Blob([esm], { type: "text/javascript" }))));
  }
  const { default: view } = await modules.get(esm);
  if (!models.has(id)) {
    models.set(id, makeModel(id, withBuffers(data, buffers.map(unpack))));
    await view.initialize?.({ model: models.get(id) });
  }
  const model = models.get(id), el = document.createElement("div");
  document.querySelector("main").append(el);
  const clean = await view.render({ model, el });
  window.views.push({ model, el, remove: () => { clean?.(); el.remove(); } });
};

// ---- for every test

const frame = () => new Promise(requestAnimationFrame);

async function frames(count) {
  while (count-- > 0) await frame();
}

// Five frames in which pictures, words and page stay as they are.
async function still() {
  const pictures = () => [...document.querySelectorAll("canvas")].map((one) => one.toDataURL());
  const seen = () => [scrollY, document.querySelector("main").innerText, ...pictures()].join();
  for (let same = 0, before = ""; same < 5; ) {
    await frame();
    const now = seen();
    same = now === before ? same + 1 : 0;
    before = now;
  }
}

// As JupyterLab changes its theme: first the colours, then the name, with everything hidden until the
// next frame.
async function wear([theme, css]) {
  document.querySelector("#theme").textContent = css;
  document.body.dataset.jpThemeLight = theme === "Light";
  document.body.dataset.jpThemeName = `JupyterLab ${theme}`;
  document.body.style.display = "none";
  await frame();
  document.body.style.display = "";
}

window.page = { frames, still, wear };
