// The view of Rotation: a slider that turns the stream of a model running in this page, and what
// one sees of it.

import { begin, caption, heed, make, onceAFrame } from "../shared/common.js";
import { onArrows } from "../shared/keys.js";
import { clamp, indexOfSmallest, largest, meanOf, numbersIn, softmax } from "../shared/numbers.js";
import { entryUnder, layOver, paintPattern } from "../shared/pattern.js";
import { headName } from "../shared/words.js";
import { makeControls, makeSlider } from "./controls.js";
import { drawGraph, makeGraph } from "./graph.js";
import { drawBars, drawPredictions, drawRows, makeBars, makeMap } from "./maps.js";
import { TurningModel, kurtosis } from "./model.js";
import { drawOrbits, makeOrbits, orbitsOf } from "./orbits.js";
import {
  angleWords, barWords, graphWords, guessWords, mapWords, orbitWords, patternWords, sentence,
} from "./words.js";

const HEIGHTS = { // of the maps, in pixels
  stream: 92, W_E: 62, W_pos: 48, W_Q: 30, W_K: 30, W_V: 30, W_O: 30, W_U: 62,
};
const MOST_ROWS = 64; // of a matrix, that are shown

function render({ model, el }) {
  const shape = model.get("shape"), { pos, d_model: d, d_head, d_vocab, tokens } = shape;
  const get = (name) => model.get(name);
  const quarterTurns = numbersIn(get("quarter_turns"), Float64Array);
  const turning = new TurningModel(shape, numbersIn(get("rows"), Float32Array),
    numbersIn(get("gains"), Float32Array));
  let history = new Map(); // what was measured: by the switches, and by the angle
  let orbits, sizes, spread; // of the model with the present switches
  let now; // the model at the present angle
  let stale = true, unsaved = false;

  // A control writes a trait; `done` when the reader settles on it, which the kernel then hears.
  function set(name, value, done = true) {
    model.set(name, value);
    unsaved ||= done;
    ask();
  }
  const chooseToken = (token) => set("token", clamp(Math.round(token) || 0, 0, pos - 1));
  const ask = onceAFrame(() => draw());

  // ---- the page

  const controls = makeControls(shape, {
    get, set, chooseToken, forget: () => { history = new Map(); },
  });
  const slider = makeSlider({ stop: controls.stop, set });
  const graph = makeGraph((degrees) => {
    controls.stop();
    set("angle", degrees, false);
  });
  for (const done of ["pointerup", "click"])
    graph.addEventListener(done, () => set("angle", get("angle")));
  const dial = makeOrbits((x, y) => {
    const places = tokens.map((_, of) => orbits.of(now.stream, of));
    chooseToken(indexOfSmallest(places, (place) => Math.hypot(place[0] - x, place[1] - y)));
  });
  const bars = makeBars(), ticks = make("div", { class: "ticks" }, make("i"), make("i"));
  const maps = Object.fromEntries(
    Object.entries(HEIGHTS).map(([name, height]) => [name, makeMap(height)]));
  const patterns = [makeMap(), makeMap()];
  const marks = [maps.stream, ...patterns].map(chooseTokenIn);
  const guesses = make("div", { role: "img" }), says = caption(el);
  const [barsTitle, patternTitle, guessTitle] = [make("h4"), make("h4"), make("h4")];

  // A picture with a row a token: a click or an arrow chooses one, and a mark shows which.
  function chooseTokenIn({ canvas }) {
    const mark = make("b");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.addEventListener("click", (event) => chooseToken(entryUnder(event, canvas, pos).query));
    onArrows(canvas, ([, down]) => {
      if (down) chooseToken(get("token") + down);
    });
    canvas.after(mark);
    return mark;
  }

  begin(el, "rotation");
  el.append(says, ...controls.rows, make("div", { class: "parts" },
    make("div", { class: "stack" }, barsTitle, make("span"), bars, make("span"), ticks,
      ...Object.keys(maps).flatMap((name) => [make("span", {}, name), maps[name].box])),
    make("div", { class: "turning" }, ...slider.parts, graph),
    make("div", { class: "circles" },
      make("h4", {}, `The ${pos} tokens, in one plane that turns`), dial),
    make("div", { class: "behave" }, patternTitle,
      make("div", { class: "pair" }, ...patterns.map(({ box }, i) =>
        make("div", {}, box, make("small", {}, ["at 0°", "now"][i])))),
      guessTitle, guesses)));

  // ---- what is measured

  function quarterTurn() {
    if (get("path") !== "plane")
      return quarterTurns.subarray(...{ all: [0, d * d], kept: [d * d] }[get("path")]);
    const J = new Float64Array(d * d), [i, j] = get("plane");
    J[i * d + j] = 1;
    J[j * d + i] = -1;
    return J;
  }

  // What holds for every angle, until a switch moves.
  function prepare() {
    const J = quarterTurn();
    turning.set({ J, breaks: get("breaks"), turned: get("turned") });
    orbits = orbitsOf(turning.streamPath, J, d, get("plane")[0]);
    const { logits, streams } = turning.start, middle = meanOf(logits);
    spread = rootMeanSquare(Float64Array.from(logits, (logit) => logit - middle));
    sizes = Object.fromEntries(Object.keys(maps).map((name) => {
      const values = name === "stream" ? streams.at(-1) : rowsOf(name, turning.along.rows);
      return [name, 2.5 * rootMeanSquare(values) || 1];
    }));
    stale = false;
  }

  // The rows of one matrix: of one head, where there are several, and of so many tokens at most.
  function rowsOf(name, weights) {
    const [layer, head] = get("head"), inHead = /W_[QKVO]/.test(name);
    const called = inHead ? `${name} ${layer}` : name;
    const { from, rows } = turning.table.find((part) => part.name === called);
    if (inHead)
      return weights.subarray((from + head * d_head) * d, (from + (head + 1) * d_head) * d);
    return weights.subarray(from * d, (from + Math.min(rows, MOST_ROWS)) * d);
  }

  // Keeps what was measured under the present switches; their key.
  function remember() {
    const path = get("path"), switches = [[...get("breaks")].sort(), [...get("turned")].sort()];
    const key = JSON.stringify([path, path === "plane" && get("plane"), ...switches]);
    if (!history.has(key)) history.set(key, new Map());
    history.get(key).set(get("angle"), { change: now.change, kurtosis: now.kurtosis });
    return key;
  }

  // ---- drawing

  function draw() {
    if (stale) prepare();
    now = turning.at(get("angle"));
    drawGraph(graph, {
      angle: get("angle"), now, rounding: turning.rounding, spread, nullKurtosis: shape.null,
      history, key: remember(),
    });
    drawStream();
    drawBehaviour();
    follow();
    label();
    if (unsaved) save();
  }

  const axisNames = () => [
    `coordinate ${get("plane")[0]}`,
    get("path") === "plane" ? `coordinate ${get("plane")[1]}` : "where it turns to",
  ];

  // The stream and the matrices that meet it, which all turn.
  function drawStream() {
    const token = get("token"), begun = turning.start.streams.at(-1);
    const row = (values) => values.subarray(token * d, (token + 1) * d);
    drawOrbits(dial, {
      orbits, stream: now.stream, radians: (get("angle") * Math.PI) / 180, token,
      names: axisNames(),
    });
    drawBars(bars, row(now.stream), row(begun), 1.1 * largest(row(begun).map(Math.abs)));
    [...ticks.children].forEach((tick, axis) => {
      tick.style.left = `${(100 * (get("plane")[axis] + 0.5)) / d}%`;
    });
    for (const [name, { canvas }] of Object.entries(maps)) {
      const values = name === "stream" ? now.stream : rowsOf(name, now.weights);
      drawRows(canvas, values, d, sizes[name]);
    }
    for (const mark of marks) layOver(mark, pos, { query: token, key: 0, columns: pos });
  }

  // What the model does, which should stay.
  function drawBehaviour() {
    const token = get("token"), [layer, head] = get("head");
    [turning.start, now].forEach((one, i) => paintPattern(patterns[i].canvas, pos, (query, key) =>
      one.patterns[layer][(head * pos + query) * pos + key]));
    const probabilities = ({ logits }) =>
      softmax(logits.slice(token * d_vocab, (token + 1) * d_vocab));
    drawPredictions(guesses, probabilities(now), probabilities(turning.start));
  }

  function follow() {
    controls.follow();
    slider.follow(get("angle"), angleWords(get("angle"), now.change));
  }

  function label() {
    const token = get("token"), head = get("head"), name = (element, words) =>
      element.setAttribute("aria-label", words);
    barsTitle.textContent = `Position ${token} (token ${tokens[token]}) in ${d} coordinates`;
    patternTitle.textContent = `What head ${headName(head)} attends to`;
    guessTitle.textContent = `What comes after position ${token}`;
    const state = { angle: get("angle"), breaks: get("breaks"), turned: get("turned") };
    says.textContent = sentence(state, now, kurtosis(turning.start.streams.at(-1), d), shape);
    says.classList.toggle("broken", !now.fine);
    name(graph, graphWords(now, shape.null));
    name(dial, orbitWords(pos, axisNames(), now.fine));
    name(bars, barWords(d, token));
    name(guesses, guessWords(token, [...guesses.children].map((guess) =>
      [guess.firstChild.textContent, guess.lastChild.textContent])));
    for (const [of, { canvas }] of Object.entries(maps)) name(canvas, mapWords(of, pos, d));
    patterns.forEach(({ canvas }, i) =>
      name(canvas, patternWords(head, i ? `at ${get("angle")} degrees` : "at 0 degrees")));
  }

  function save() { // the kernel hears of what one settles on, not of every move
    const { change, flipped } = now;
    model.set("measured", { angle: get("angle"), change, kurtosis: now.kurtosis, flipped });
    model.save_changes();
    unsaved = false;
  }

  const askAnew = () => {
    stale = true;
    ask();
  };
  const deafen = heed(model, {
    "change:angle": ask, "change:token": ask, "change:head": askAnew, "change:path": askAnew,
    "change:plane": askAnew, "change:breaks": askAnew, "change:turned": askAnew,
  });
  const sized = new ResizeObserver(ask);
  sized.observe(el);
  ask();
  return () => {
    controls.stop();
    sized.disconnect();
    deafen();
  };
}

const rootMeanSquare = (values) =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);

export default { render };
