// The controls of VirtualWeights, and what its keys do, in words.

import { make } from "../shared/common.js";
import { LEVELS } from "./levels.js";
import { KINDS, KIND_WORDS } from "./links.js";

// `on.open(name)` a model, `on.setKind(kind)`, `on.setBare(is)`, `on.flyTo(level)` and
// `on.zoom(factor)`.
export function makeControls(on) {
  const models = make("select", { "aria-label": "model", onchange: () => on.open(models.value) });
  const kinds = KINDS.map((kind) => make("button", {
    onclick: () => on.setKind(kind), "aria-label": `${kind}: links into ${KIND_WORDS[kind]}`,
  }, kind));
  const between = make("select", {
    "aria-label": "matrix", onchange: () => on.setBare(between.value === "bare"),
  }, make("option", { value: "tokens" }, "between tokens"),
  make("option", { value: "bare" }, "bare product"));
  const levels = LEVELS.map((name, i) => make("button", { onclick: () => on.flyTo(i) }, name));
  const zoom = (sign, name, factor) =>
    make("button", { "aria-label": name, onclick: () => on.zoom(factor) }, sign);
  const element = make("div", { class: "row" },
    make("label", {}, "model", models),
    group("What the reader reads it as", ...kinds),
    make("label", {}, "matrix", between),
    group("Zoom", zoom("−", "Zoom out", 1 / 1.5), ...levels, zoom("+", "Zoom in", 1.5)));

  const press = (buttons, at) =>
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", i === at));
  return {
    element,
    offerModel: (name) => models.append(make("option", {}, name)),
    follow({ model, kind, bare, level }) {
      models.value = model;
      between.value = bare ? "bare" : "tokens";
      press(kinds, KINDS.indexOf(kind));
      press(levels, level);
    },
  };
}

const group = (name, ...buttons) =>
  make("span", { class: "choices", role: "group", "aria-label": name }, ...buttons);

export function keyHelp() {
  const help = make("p", { class: "keys" });
  help.innerHTML = "Click first: arrows walk, <kbd>←</kbd> writers, <kbd>→</kbd> readers, "
    + "<kbd>Enter</kbd> lights and zooms in, <kbd>Q</kbd> <kbd>K</kbd> <kbd>V</kbd> choose, "
    + "wheel or <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom, <kbd>Shift</kbd> + arrows pan, "
    + "<kbd>M</kbd> bare weights.";
  return help;
}

// What the colours mean, above the diagram.
export function makeLegend() {
  const legend = make("p", { class: "legend" });
  const mark = (kind, ...words) =>
    make("span", {}, make("i", { class: kind, "aria-hidden": "true" }), ...words);
  legend.append(
    mark("disc before", "previous token: looks one token back"),
    mark("disc match", "prefix matching: looks after an earlier copy of its token"),
    mark("line", "above chance"), mark("line weak", "not"),
    mark("bar", "how much each reads of what the lit writer writes; tick: by chance"));
  return legend;
}
