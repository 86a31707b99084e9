// What a page does: its explorables come alive, and its theme is the reader's.

import { answering } from "./answers.js";
import { makeModel, withBuffers } from "./model.js";

// What was stored beside the page: a line of JSON, then all bytes, compressed.
async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const all = new Uint8Array(await new Response(stream).arrayBuffer());
  const end = all.indexOf(10);
  const { state, paths, opening, blocks } = JSON.parse(new TextDecoder().decode(all.subarray(0, end)));
  let at = end + 1;
  const buffers = blocks.map(({ size, half }) => {
    const block = all.buffer.slice(at, at += size);
    return new DataView(half ? fromHalves(new Uint16Array(block)).buffer : block);
  });
  const take = (count) => buffers.splice(0, count);
  return {
    state: withBuffers(state, paths, take(paths.length)),
    opening: opening.map(({ content, count }) => ({ content, buffers: take(count) })),
  };
}

// Sign, five bits of exponent, ten of fraction. No infinities are stored.
function fromHalves(halves) {
  return Float32Array.from(halves, (bits) => {
    const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
  });
}

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
