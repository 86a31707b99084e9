// The controls of Rotation. Each writes a trait of the model by `set(name, value)`, and `follow()`
// shows the traits as they are.

import { make, options } from "../shared/common.js";
import { clamp } from "../shared/numbers.js";
import { everyHead, headCalled, headName } from "../shared/words.js";
import { NAMES } from "./words.js";

const TURN_SECONDS = 14; // a full turn when it turns by itself
const CALM = { degrees: 15, seconds: 0.5 }; // for those who want less motion: steps, and how often

export function makeControls(shape, { get, set, chooseToken, forget }) {
  const play = makePlay(get, set);
  const reset = make("button", { onclick: () => {
    play.stop();
    forget();
    const begun = { path: "all", breaks: [], turned: Object.keys(NAMES.turned), angle: 0 };
    for (const [name, value] of Object.entries(begun)) set(name, value);
  } }, "Reset");
  const way = make("select", {
    "aria-label": "What turns", onchange: () => set("path", way.value),
  }, ...Object.entries(NAMES.paths).map(([value, name]) => make("option", { value }, name)));
  const plane = makePlane(shape.d_model, (axes) => set("plane", axes));
  const head = make("select", {
    "aria-label": "Head", onchange: () => set("head", headCalled(head.value)),
  }, ...options(everyHead(shape.n_layers, shape.n_heads).map(headName)));
  const place = make("input", {
    type: "number", min: 0, max: shape.pos - 1, step: 1, onchange: () => chooseToken(+place.value),
  });
  const sets = ["turned", "breaks"].map((trait) =>
    makeBoxes(trait, (values) => set(trait, values)));
  const rows = [
    make("div", { class: "row" }, play.button, reset, make("label", {}, "turn", way),
      make("label", {}, "coordinate", plane.axes[0]), plane.second,
      make("label", {}, "token at", place), make("label", {}, "head", head)),
    make("div", { class: "row" }, ...sets.map(({ element }) => element)),
  ];

  function follow() {
    way.value = get("path");
    place.value = get("token");
    head.value = headName(get("head"));
    plane.follow(get("plane"), get("path") === "plane");
    for (const { trait, follow: check } of sets) check(get(trait));
  }
  return { rows, follow, stop: play.stop };
}

// Turns by itself until it is stopped, by half degrees: the rest of a frame's is left to the next.
function makePlay(get, set) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const toggle = () => (asked ? stop() : start());
  const button = make("button", { class: "main", onclick: toggle }, "Turn");
  let asked = 0, last = null, left = 0; // when it last moved, and the degrees still to go

  function start() {
    [last, left] = [null, 0];
    button.textContent = "Stop";
    asked = requestAnimationFrame(step);
  }
  function step(time) {
    const since = last === null ? 0 : (time - last) / 1000;
    if (last === null || !calm.matches || since > CALM.seconds) {
      last = time;
      left += calm.matches ? CALM.degrees : (Math.min(since, 0.1) * 360) / TURN_SECONDS;
      const angle = Math.round(2 * (get("angle") + left)) / 2 || 0;
      left -= angle - get("angle");
      set("angle", angle % 360, false);
    }
    asked = requestAnimationFrame(step);
  }
  function stop() {
    if (!asked) return;
    cancelAnimationFrame(asked);
    asked = 0;
    button.textContent = "Turn";
    set("angle", get("angle"));
  }
  return { button, stop };
}

// The two coordinates of the plane that turns.
function makePlane(d, choose) {
  const axes = ["First", "Second"].map((name, which) => make("input", {
    type: "number", min: 0, max: d - 1, step: 1, "aria-label": `${name} coordinate of the plane`,
    onchange: () => choose(chosen(which)),
  }));
  const second = make("label", {}, "and", axes[1]);
  function chosen(which) {
    const plane = axes.map((axis) => clamp(Math.round(+axis.value) || 0, 0, d - 1));
    if (plane[0] === plane[1]) plane[which] = (plane[which] + 1) % d; // or there is no plane
    return plane;
  }
  function follow(plane, isWay) {
    axes.forEach((axis, which) => { axis.value = plane[which]; });
    second.hidden = !isWay;
  }
  return { axes, second, follow };
}

const LEGENDS = { turned: "These turn:", breaks: "Break it by:" };

function makeBoxes(trait, choose) {
  const checked = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const boxes = Object.keys(NAMES[trait]).map((value) =>
    make("input", { type: "checkbox", value, onchange: () => choose(checked()) }));
  const element = make("fieldset", { class: trait }, make("legend", {}, LEGENDS[trait]),
    ...boxes.map((box) => make("label", {}, box, NAMES[trait][box.value])));
  const follow = (values) => {
    for (const box of boxes) box.checked = values.includes(box.value);
  };
  return { trait, element, follow };
}

// The slider that turns by hand, and the angle in words.
export function makeSlider({ stop, set }) {
  const slider = make("input", {
    type: "range", min: 0, max: 360, step: 0.5, "aria-label": "Angle of the rotation, in degrees",
    oninput: () => {
      stop();
      set("angle", +slider.value, false);
    },
    onchange: () => set("angle", +slider.value),
  });
  const text = make("span", { class: "angle" });
  function follow(angle, words) {
    slider.value = angle;
    slider.setAttribute("aria-valuetext", words);
    slider.style.setProperty("--turned", `${angle / 3.6}%`);
    text.textContent = `${angle.toFixed(1)}°`;
  }
  return { parts: [text, slider], follow };
}
