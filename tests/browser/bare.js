// What JupyterLab and anywidget's own JavaScript do for a view, as little as will do: the site's model, whose state and
// messages go to Python and back, and a place for the view. `window.sendToPython` and `window.hearPython` are the wire.

import { makeModel, withBuffers } from "/helpers/explorables/shared/model.js";

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const unpack = (text) => new DataView(bytes(text).buffer); // as in JupyterLab
const pack = (buffer) => {
  const view = ArrayBuffer.isView(buffer) ? new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength) : new Uint8Array(buffer);
  return btoa(Array.from(view, (byte) => String.fromCharCode(byte)).join(""));
};

function openModel(id, state) {
  const post = (data, buffers = []) => window.sendToPython(JSON.stringify({ id, data, buffers: buffers.map(pack) }));
  const model = makeModel(state, {
    save: (changed) => post({ method: "update", state: changed, buffer_paths: [] }),
    send(content, buffers) {
      if (model.gone) throw new Error("Cannot send"); // as after a restart of the kernel
      post({ method: "custom", content }, buffers);
    },
  });
  model.hear = (data, buffers) => {
    if (data.method === "custom") model.tell("msg:custom", data.content, buffers);
    if (data.method === "update") for (const [name, value] of Object.entries(withBuffers(data.state, data.buffer_paths, buffers))) model.change(name, value);
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
    models.set(id, openModel(id, withBuffers(data.state, data.buffer_paths, buffers.map(unpack))));
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
