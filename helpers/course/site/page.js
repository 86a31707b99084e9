// What a page does: its explorables come alive, and its theme is the reader's.

import { answering } from "./answers.js";
import { makeModel } from "./model.js";
import { unpacked } from "./stored.js";

// The view in place of its still; where it fails the still comes back.
async function enliven(place) {
  const { view, state: name } = place.dataset, still = place.firstElementChild;
  const el = document.createElement("div");
  try {
    const { state, opening } = await unpacked(course.states[name]);
    const model = makeModel(state, {
      save() {}, // nobody is there to keep it
      send: (message) => answer(message),
    });
    const answer = answering(view, model, opening);
    still.replaceWith(el);
    await course.views[view].render({ model, el });
    place.dataset.alive = "";
  } catch (error) {
    el.replaceWith(still);
    console.error(error);
  }
}

// ---- the theme: the system's, until the reader chooses

const KEPT = "theme", system = matchMedia("(prefers-color-scheme: dark)");

function remembered() {
  try {
    return localStorage.getItem(KEPT);
  } catch { // where a browser keeps nothing for files
    return null;
  }
}

function remember(theme) {
  try {
    localStorage.setItem(KEPT, theme);
  } catch { /* then it holds for this page alone */ }
}

const isDark = () => document.body.dataset.jpThemeLight === "false";

function wear(theme = remembered() ?? (system.matches ? "dark" : "light")) {
  document.body.dataset.jpThemeLight = theme === "light"; // the views' styles go by it
  document.querySelector("#theme").setAttribute("aria-pressed", theme === "dark");
}

function followTheme() {
  wear();
  system.addEventListener("change", () => wear());
  document.querySelector("#theme").addEventListener("click", () => {
    remember(isDark() ? "light" : "dark");
    wear();
  });
  addEventListener("beforeprint", () => wear("light")); // ink on paper
  addEventListener("afterprint", () => wear());
}

// ---- the code, folded until it is asked for

function followCode() {
  const button = document.querySelector("#code");
  const cells = [...document.querySelectorAll("details.code")];
  button.hidden = !cells.length;
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    for (const cell of cells) cell.open = open;
    button.setAttribute("aria-pressed", open);
  });
}

// Beside the text the list of headings is open; above it, it would stand in the way.
function followWidth() {
  const contents = document.querySelector(".contents details");
  const beside = matchMedia("(min-width: 80rem)");
  const follow = () => { contents.open = beside.matches; };
  if (!contents) return;
  beside.addEventListener("change", follow);
  follow();
}

globalThis.course = { views: {}, states: {} };
followTheme();
document.addEventListener("DOMContentLoaded", async () => {
  followCode();
  followWidth();
  for (const place of document.querySelectorAll("[data-view]")) await enliven(place);
});
