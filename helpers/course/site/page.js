// What a page does: its explorables come alive, and its theme is the reader's.

import { modelFor } from "./answers.js";
import { unpacked } from "./stored.js";
import { followTheme } from "./theme.js";

// The view in place of its still; where it fails the still comes back.
async function enliven(place) {
  const { view, state: name } = place.dataset, still = place.firstElementChild;
  const el = document.createElement("div");
  try {
    const { render } = course.views[view];
    const stored = name ? await unpacked(course.states[name]) : {};
    const model = await modelFor(view, stored, place);
    still.replaceWith(el);
    await render({ model, el });
    place.dataset.alive = "";
  } catch (error) {
    el.replaceWith(still);
    console.error(error);
  }
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

// Where a picture is drawn smaller than it is, a tap shows it whole, and the next one does not.
function followPictures() {
  for (const picture of document.querySelectorAll(".picture"))
    picture.addEventListener("click", () => picture.classList.toggle("whole"));
}

globalThis.course = { views: {}, states: {}, recordings: {} };
followTheme();
document.addEventListener("DOMContentLoaded", async () => {
  followCode();
  followWidth();
  followPictures();
  for (const place of document.querySelectorAll("[data-view]")) await enliven(place);
});
