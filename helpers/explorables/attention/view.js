// The view of Attention. Everything it draws was sent once; pointer and keys ask nothing of the
// kernel.

import { begin, caption, heed, make, newName } from "../shared/common.js";
import { decimal } from "../shared/formats.js";
import { arrowIn, onArrows } from "../shared/keys.js";
import { layOver, paintPattern, pointAtEntries } from "../shared/pattern.js";
import { changes, holds, tokenStrip } from "../shared/tokens.js";
import { headName } from "../shared/words.js";
import {
  FROM, TO, atEntry, entryOf, nextOnBoard, placeOf, readPatterns, stepped,
} from "./patterns.js";
import { makeReader } from "./reader.js";
import { HINTS, boardWords, sentence, tokenLook } from "./words.js";

const THUMB = 64; // cells on a side of a small pattern; larger ones show the largest of each block

function render({ model, el }) {
  let scene, headAt; // headAt(place, weighted): the numbers of the head there
  // places on the board: of the chosen head, and of the one under the pointer
  let picked = null, previewed = null;
  let look = { chosen: 0, other: null, held: false, direction: FROM }, weighted = false;
  let painted; // what the large pattern shows, so that it is painted again only when that changes

  // ---- the page

  const group = newName();
  const directions = makeChoice(`Direction ${group}`, [
    [FROM, "from: whom does it attend to?"], [TO, "to: who attends to it?"],
  ], (direction) => lookAt({ direction }));
  const weightings = makeChoice(`Weighting ${group}`, [
    [false, "attention A"], [true, "value-weighted A·|v|"],
  ], (value) => {
    weighted = value;
    paintBoard();
    draw();
  });
  const hint = make("p", { class: "hint" });
  const says = caption(el);
  const heading = make("h4"), board = make("div", { class: "board", role: "radiogroup" });
  const map = makeMap();
  const strip = tokenStrip("Tokens", (position, how) => lookAt(lookBy(look, position, how)));

  const reader = model.get("most") ? makeReader(model, strip.focus) : null;

  begin(el, "attention");
  el.classList.toggle("reads", Boolean(reader));
  el.append(
    ...(reader ? [reader.element] : []),
    make("div", { class: "row" }, directions, weightings), strip.element, says,
    make("div", { class: "views" },
      make("div", {}, make("div", { class: "heads" }, heading, board),
        make("div", { class: "hints" }, hint, make("p", { class: "hint" }, HINTS.keys))),
      map.element));

  // ---- what pointer and keys do

  function lookAt(next, andThen) {
    if (!changes(look, next)) return; // the pointer also moves within a token
    look = { ...look, ...next };
    draw();
    andThen?.();
  }
  pointAtEntries(map.box, map.canvas, () => scene.pos, {
    at: (entry) => lookAt({ ...atEntry(look.direction, entry), held: false }, strip.reveal),
    leave: () => lookAt({ other: null }),
  });
  onArrows(map.box, (arrow, { shiftKey }) => {
    if (!shiftKey) lookAt(stepped(look, arrow, scene.pos), strip.reveal);
  });
  el.addEventListener("keydown", (event) => {
    if (event.target.matches("textarea")) return; // there the keys are for writing
    if (event.key === "Escape") lookAt({ held: false, other: null });
    const arrow = arrowIn(event), onBoard = board.contains(event.target);
    if (!arrow || !(event.shiftKey || onBoard)) return;
    event.preventDefault(); // or a radio button moves
    pick(nextOnBoard(picked, arrow, scene));
    if (onBoard) board.children[picked].focus();
  });
  function pick(place) {
    picked = place;
    preview(null);
  }
  function preview(place) {
    previewed = place;
    draw();
  }

  // ---- what comes from Python

  function read() {
    const before = scene?.heads[picked];
    scene = model.get("scene");
    headAt = readPatterns(scene);
    [previewed, painted] = [null, ""];
    picked = before ? placeOf(scene, before) : -1;
    if (picked < 0) picked = scene.opens;
    look = { ...look, chosen: scene.pos - 1, other: null, held: false };
    strip.set(scene.labels);
    heading.textContent = boardWords(scene);
    board.setAttribute("aria-label", heading.textContent);
    el.classList.toggle("some", scene.out_of > 0);
    board.style.gridTemplateColumns = `repeat(${scene.columns}, minmax(0, 1fr))`;
    board.replaceChildren(...scene.heads.map((head, place) =>
      makeHead(head, { onclick: () => pick(place), onpointerenter: () => preview(place),
        onpointerleave: () => preview(null) })));
    paintBoard();
    draw();
    strip.reveal();
  }

  function goTo() {
    const { layer, head, position } = model.get("opens_at"), place = placeOf(scene, [layer, head]);
    if (place >= 0 && position < scene.pos) {
      picked = place;
      look = { ...look, chosen: position, other: null };
    }
    draw();
    strip.reveal();
  }

  // ---- drawing

  function paintBoard() {
    [...board.children].forEach((button, place) => {
      const { strength, top } = headAt(place, weighted);
      paintPattern(button.firstChild, scene.pos, strength, { top, most: THUMB });
    });
  }

  function draw() {
    const head = headAt(previewed ?? picked, weighted);
    [...board.children].forEach((button, place) => {
      button.setAttribute("aria-checked", place === picked);
      button.tabIndex = place === picked ? 0 : -1;
    });
    strip.paint(look, (i) => tokenLook(scene, head, look, i));
    hint.textContent = weighted ? HINTS.weighted : HINTS.attention;
    says.textContent = sentence(scene, head, look);
    drawMap(head);
  }

  function drawMap(head) {
    const { chosen, other, direction } = look, { pos } = scene, now = `${head.name} ${weighted}`;
    if (painted !== now) paintPattern(map.canvas, pos, head.strength, { top: head.top });
    painted = now;
    map.title.textContent = `Head ${head.name}: ${weighted ? "A·|v|" : "attention"}`;
    map.high.textContent = weighted ? decimal(head.top) : "1";
    layOver(map.band, pos, direction === FROM ? { query: chosen, key: 0, columns: chosen + 1 }
      : { query: chosen, key: chosen, rows: pos - chosen });
    map.cell.hidden = other === null;
    if (other !== null) layOver(map.cell, pos, entryOf(direction, chosen, other));
    map.box.setAttribute("aria-label", `Pattern of head ${head.name}; arrow keys move the query `
      + `and the key. ${says.textContent}`);
  }

  const deafen = heed(model, {
    "change:scene": read,
    "change:opens_at": goTo,
  });
  read();
  goTo();
  return () => {
    deafen();
    reader?.close();
  };
}

// What the strip hears, as what one looks at.
function lookBy(look, position, how) {
  if (how === "press") return { held: holds(look, position), chosen: position, other: null };
  if (how === "move") return { chosen: position, other: null };
  if (look.held) return { other: position === look.chosen ? null : position };
  return position === null ? {} : { chosen: position, other: null };
}

// Radio buttons in a row. `choices`: a value and its label each; the first is chosen.
function makeChoice(name, choices, choose) {
  const inputs = choices.map(([value]) =>
    make("input", { type: "radio", name, onchange: () => choose(value) }));
  inputs[0].checked = true;
  const box = make("span", {
    class: "choice", role: "radiogroup", "aria-label": name.split(" ")[0],
  }, ...choices.map(([, label], i) => make("label", {}, inputs[i], label)));
  onArrows(box, ([right, down], event) => { // inside JupyterLab the browser's own do not arrive
    if (event.shiftKey) return;
    event.preventDefault();
    const to = inputs.indexOf(event.target) + (right || down) + inputs.length;
    const next = inputs[to % inputs.length];
    next.focus();
    next.click();
  });
  return box;
}

function makeHead([layer, head], listeners) {
  const attributes = { role: "radio", "aria-label": `Layer ${layer}, head ${head}`, ...listeners };
  return make("button", attributes, make("canvas"), make("small", {}, headName([layer, head])));
}

// The large pattern with its title, its legend and its axes; a band and a cell lie over it.
function makeMap() {
  const title = make("span"), high = make("span"), canvas = make("canvas");
  const band = make("div", { class: "band" }), cell = make("div", { class: "cell" });
  const legend = make("span", { class: "legend" }, make("span", {}, "0"), make("i"), high);
  const box = make("div", {
    class: "map", tabindex: 0, role: "application", "aria-roledescription": "attention pattern",
  }, canvas, band, cell);
  const element = make("div", {}, make("h4", { class: "titled" }, title, legend),
    make("div", { class: "axes" }, make("span", { class: "query" }, "query: who attends →"), box,
      make("span", { class: "key" }, "key: who is attended to →")));
  return { element, box, canvas, band, cell, title, high };
}

export default { render };
