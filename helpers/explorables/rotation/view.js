// The view of Rotation: a slider that turns the stream of a model running in this page, and what one sees of it.

import { begin, caption, clamp, make, numbersIn } from "../shared/common.js";
import { TurningModel, kurtosis, softmax } from "./model.js";
import {
  drawBars, drawGraph, drawOrbits, drawPattern, drawPredictions, drawRows, makeBars, makeGraph,
  makeOrbits, orbitsOf, short,
} from "./pictures.js";

const NAMES = {
  paths: { all: "all coordinates", kept: "all, but (1, …, 1) stays", plane: "one plane" },
  turned: { embedding: "W_E, W_pos", readers: "W_Q, W_K, W_V", writers: "W_O", unembedding: "W_U" },
  breaks: { centring: "LayerNorm's centring", gains: "a gain per coordinate", relu: "a ReLU" },
};
const AT_REST = {
  centring: "What is read loses its mean first, and that model is what all is compared with.",
  gains: "What is read is multiplied by a gain for each coordinate, and the readers are divided by it: the same model.",
  relu: "After each layer a ReLU cuts each coordinate at a threshold that none falls below as long as nothing turns: the same model.",
};
const TURN_SECONDS = 14; // a full turn when it turns by itself

function render({ model, el }) {
  const shape = model.get("shape"), { pos, d_model: d, d_head, n_layers, n_heads, tokens } = shape;
  const get = (name) => model.get(name);
  const quarterTurns = numbersIn(get("quarter_turns"), Float64Array);
  const turning = new TurningModel(shape, numbersIn(get("rows"), Float32Array), numbersIn(get("gains"), Float32Array));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let history = new Map(), orbits, scales, stale = true, unsaved = false, asked = 0, playing = 0;

  // ---- controls: each writes a trait, and whatever changes a trait draws

  const set = (name, value, done = true) => { model.set(name, value); unsaved ||= done; ask(); };
  const play = make("button", { class: "main", onclick: () => (playing ? stop() : start()) }, "Turn");
  const reset = make("button", { onclick: () => { stop(); history = new Map();
    for (const [name, value] of Object.entries({ path: "all", breaks: [], turned: Object.keys(NAMES.turned), angle: 0 })) set(name, value); } }, "Reset");
  const way = make("select", { "aria-label": "What turns", onchange: () => set("path", way.value) }, ...Object.entries(NAMES.paths).map(([value, name]) => make("option", { value }, name)));
  const axes = [0, 1].map((which) => make("input", { type: "number", min: 0, max: d - 1, step: 1, "aria-label": `${["First", "Second"][which]} coordinate of the plane`,
    onchange: () => set("plane", choosePlane(which)) }));
  const second = make("label", {}, "and", axes[1]);
  const heads = Array.from({ length: n_layers * n_heads }, (_, at) => `${Math.floor(at / n_heads)}.${at % n_heads}`);
  const head = make("select", { "aria-label": "Head", onchange: () => set("head", head.value.split(".").map(Number)) }, ...heads.map((name) => make("option", {}, name)));
  const place = make("input", { type: "number", min: 0, max: pos - 1, step: 1, onchange: () => chooseToken(+place.value) });
  const boxes = (trait, legend) => make("fieldset", { class: trait }, make("legend", {}, legend), ...Object.entries(NAMES[trait]).map(([value, name]) =>
    make("label", {}, make("input", { type: "checkbox", value, onchange: () => set(trait, [...el.querySelectorAll(`.${trait} input:checked`)].map((box) => box.value)) }), name)));
  const slider = make("input", { type: "range", min: 0, max: 360, step: 0.5, "aria-label": "Angle of the rotation, in degrees",
    oninput: () => { stop(); set("angle", +slider.value, false); }, onchange: () => set("angle", +slider.value) });
  const angleText = make("span", { class: "angle" });

  function choosePlane(which) {
    const plane = axes.map((axis) => clamp(Math.round(+axis.value) || 0, 0, d - 1));
    if (plane[0] === plane[1]) plane[which] = (plane[which] + 1) % d; // two different ones, or there is no plane
    return plane;
  }
  const chooseToken = (token) => set("token", clamp(Math.round(token) || 0, 0, pos - 1));
  function chooseByKey(event) {
    const move = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!move) return;
    event.preventDefault(); // or the page scrolls
    chooseToken(get("token") + move);
  }

  function start() {
    let last = null;
    play.textContent = "Stop";
    const step = (time) => {
      const since = last === null ? 0 : (time - last) / 1000;
      if (last === null || !calm.matches || since > 0.5) { // those who want less motion get steps
        last = time;
        set("angle", (Math.round(2 * (get("angle") + (calm.matches ? 15 : Math.min(since, 0.1) * 360 / TURN_SECONDS))) / 2 || 0) % 360, false);
      }
      playing = requestAnimationFrame(step);
    };
    playing = requestAnimationFrame(step);
  }
  function stop() {
    if (!playing) return;
    cancelAnimationFrame(playing);
    playing = 0;
    play.textContent = "Turn";
    set("angle", get("angle"));
  }

  // ---- the pictures

  const graph = makeGraph((degrees) => { stop(); set("angle", degrees, false); });
  for (const done of ["pointerup", "click"]) graph.addEventListener(done, () => set("angle", get("angle")));
  const orbitPicture = makeOrbits((x, y) => {
    const distance = (of) => Math.hypot(...orbits.of(turning.latest.stream, of).map((value, axis) => value - [x, y][axis]));
    chooseToken(tokens.reduce((best, _, of) => (distance(of) < distance(best) ? of : best), 0));
  });
  const bars = makeBars(), ticks = make("div", { class: "ticks" }, make("i"), make("i"));
  const parts = ["stream", "W_E", "W_pos", "W_Q", "W_K", "W_V", "W_O", "W_U"];
  const maps = Object.fromEntries(parts.map((name) => [name, makeMap({ stream: 106, W_E: 82, W_pos: 62, W_U: 82 }[name] ?? 30)]));
  const patterns = [0, 1].map(() => makeMap());
  for (const { canvas } of [maps.stream, ...patterns]) {
    canvas.tabIndex = 0;
    canvas.addEventListener("keydown", chooseByKey);
    canvas.setAttribute("role", "application");
    canvas.addEventListener("click", (event) => chooseToken(Math.floor((event.offsetY / canvas.clientHeight) * pos)));
    const mark = canvas.mark = make("b", { style: `height:${100 / pos}%` });
    canvas.after(mark);
  }
  const guesses = make("div", { role: "img" }), says = caption(el);
  const barsTitle = make("h4"), patternTitle = make("h4"), guessTitle = make("h4");

  function makeMap(height) {
    const canvas = make("canvas", { role: "img" });
    return { canvas, box: make("div", { class: "map", style: height ? `height:${height}px` : undefined }, canvas) };
  }

  begin(el, "rotation");
  el.append(
    make("div", { class: "row" }, play, reset, make("label", {}, "turn", way), make("label", {}, "coordinate", axes[0]), second,
      make("label", {}, "token at", place), make("label", {}, "head", head)),
    make("div", { class: "row" }, boxes("turned", "These turn:"), boxes("breaks", "These cannot:")),
    make("div", { class: "parts" },
      make("div", { class: "stack" }, barsTitle, make("span"), bars, make("span"), ticks, ...parts.flatMap((name) => [make("span", {}, name), maps[name].box])),
      make("div", { class: "turning" }, angleText, slider, graph),
      make("div", { class: "circles" }, make("h4", {}, `The ${pos} tokens, in one plane that turns`), orbitPicture),
      make("div", { class: "behave" }, patternTitle, make("div", { class: "pair" }, ...patterns.map(({ box }, i) => make("div", {}, box, make("small", {}, ["at 0°", "now"][i])))),
        guessTitle, guesses)),
    says);

  // ---- drawing

  const axisNames = () => [`coordinate ${get("plane")[0]}`, get("path") === "plane" ? `coordinate ${get("plane")[1]}` : "where it turns to"];

  function quarterTurn() {
    if (get("path") !== "plane") return quarterTurns.subarray(...{ all: [0, d * d], kept: [d * d] }[get("path")]);
    const J = new Float64Array(d * d), [i, j] = get("plane");
    J[i * d + j] = 1;
    J[j * d + i] = -1;
    return J;
  }

  function prepare() {
    const J = quarterTurn();
    turning.set({ J, breaks: get("breaks"), turned: get("turned") });
    orbits = orbitsOf(turning.streamPath, J, d, get("plane")[0]);
    const size = (values) => 2.5 * Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length) || 1;
    scales = { stream: size(turning.start.streams.at(-1)) };
    for (const name of parts.slice(1)) scales[name] = size(rowsOf(name, turning.along.rows));
    const { logits } = turning.start, mean = logits.reduce((sum, value) => sum + value, 0) / logits.length;
    turning.spread = Math.sqrt(logits.reduce((sum, value) => sum + (value - mean) ** 2, 0) / logits.length);
    stale = false;
  }

  // The rows of one matrix: of one head, where there are several, and of 64 tokens at most.
  function rowsOf(name, weights) {
    const [layer, of] = get("head"), inHead = /W_[QKVO]/.test(name);
    const { from, rows } = turning.table.find((part) => part.name === (inHead ? `${name} ${layer}` : name));
    return inHead ? weights.subarray((from + of * d_head) * d, (from + (of + 1) * d_head) * d) : weights.subarray(from * d, (from + Math.min(rows, 64)) * d);
  }

  function draw() {
    asked = 0;
    if (stale) prepare();
    const angle = get("angle"), token = get("token"), [layer, of] = get("head"), plane = get("plane"), now = turning.latest = turning.at(angle);
    const key = JSON.stringify([get("path"), get("path") === "plane" && plane, [...get("breaks")].sort(), [...get("turned")].sort()]);
    if (!history.has(key)) history.set(key, new Map());
    history.get(key).set(angle, { change: now.change, kurtosis: now.kurtosis });
    drawGraph(graph, { width: graph.clientWidth || 600, angle, now, rounding: turning.rounding, spread: turning.spread, null: shape.null, curves: history, key });
    drawOrbits(orbitPicture, { orbits, stream: now.stream, radians: (angle * Math.PI) / 180, token, names: axisNames() });
    const row = (values) => values.subarray(token * d, (token + 1) * d), begun = turning.start.streams.at(-1);
    drawBars(bars, row(now.stream), row(begun), 1.1 * Math.max(...row(begun).map(Math.abs)));
    [...ticks.children].forEach((tick, axis) => { tick.style.left = `${(100 * (plane[axis] + 0.5)) / d}%`; });
    drawRows(maps.stream.canvas, now.stream, d, scales.stream, token);
    for (const name of parts.slice(1)) drawRows(maps[name].canvas, rowsOf(name, now.weights), d, scales[name]);
    [turning.start.patterns[layer], now.patterns[layer]].forEach((pattern, i) => {
      drawPattern(patterns[i].canvas, pattern, pos, of);
      patterns[i].canvas.mark.style.top = `${(100 * token) / pos}%`;
    });
    const probabilities = (logits) => softmax(logits.slice(token * shape.d_vocab, (token + 1) * shape.d_vocab));
    drawPredictions(guesses, probabilities(now.logits), probabilities(turning.start.logits));
    label(now, angle, token, layer, of, plane);
    if (!unsaved) return;
    model.set("measured", { angle, change: now.change, kurtosis: now.kurtosis, flipped: flipped(now.logits) });
    model.save_changes(); // the kernel hears of what one settles on, not of every move
    unsaved = false;
  }

  function label(now, angle, token, layer, of, plane) {
    slider.value = angle;
    slider.setAttribute("aria-valuetext", `${angle} degrees: largest change of a logit ${now.change.toExponential(0)}`);
    slider.style.setProperty("--turned", `${angle / 3.6}%`);
    angleText.textContent = `${angle.toFixed(1)}°`;
    way.value = get("path");
    place.value = token;
    head.value = `${layer}.${of}`;
    axes.forEach((axis, which) => { axis.value = plane[which]; });
    second.hidden = get("path") !== "plane";
    for (const trait of ["turned", "breaks"]) for (const box of el.querySelectorAll(`.${trait} input`)) box.checked = get(trait).includes(box.value);
    barsTitle.textContent = `Position ${token} (token ${tokens[token]}) in ${d} coordinates`;
    patternTitle.textContent = `What head ${layer}.${of} attends to`;
    guessTitle.textContent = `What comes after position ${token}`;
    const flips = flipped(now.logits), all = `${pos} × ${shape.d_vocab}`, fine = now.change <= turning.rounding;
    const broken = [...get("breaks").map((name) => NAMES.breaks[name]), ...Object.keys(NAMES.turned).filter((name) => !get("turned").includes(name)).map((name) => `${NAMES.turned[name]} not turned`)];
    says.textContent = angle === 0 ? ["At 0° nothing has turned.", ...get("breaks").map((name) => AT_REST[name]), "What will stay when it turns?"].join(" ")
      : `At ${angle}°${broken.length ? `, with ${broken.join(" and ")}` : ""}: of ${all} logits ${now.change === 0 ? "none moves at all" : fine
        ? `none moves by more than ${short(now.change)}, which is float32 rounding` : `the most moved one moves by ${short(now.change)}`}; `
        + `${flips ? `${flips} of ${pos} top predictions change${flips === 1 ? "s" : ""}` : `all ${pos} top predictions stay`}. The coordinates' kurtosis is ${now.kurtosis.toFixed(1)}; it was ${kurtosis(turning.start.streams.at(-1), d).toFixed(1)}.`;
    says.classList.toggle("broken", !fine);
    graph.setAttribute("aria-label", `Over the angle, the largest change of a logit on a log scale, now ${short(now.change)}, and the kurtosis, now ${now.kurtosis.toFixed(1)}; null ${shape.null.toFixed(2)}`);
    orbitPicture.setAttribute("aria-label", `${pos} tokens as points, across ${axisNames().join(" and ")}; ${fine ? "each on its circle" : "lines show how far each is off its circle"}`);
    bars.setAttribute("aria-label", `${d} coordinates of the stream at position ${token}; outlined, those at 0 degrees`);
    guesses.setAttribute("aria-label", `Top predictions after position ${token}: ${[...guesses.children].map((guess) => `token ${guess.firstChild.textContent} ${guess.lastChild.textContent}`).join(", ")}`);
    for (const name of parts) maps[name].canvas.setAttribute("aria-label", name === "stream" ? `The stream, ${pos} tokens by ${d} coordinates; arrow keys choose a token` : `${name} by ${d} coordinates`);
    patterns.forEach(({ canvas }, i) => canvas.setAttribute("aria-label", `Attention pattern of head ${layer}.${of}, ${i ? `at ${angle} degrees` : "at 0 degrees"}; arrow keys choose a row`));
  }

  // Positions whose top prediction is another one than at 0 degrees, but for ties that rounding decides.
  function flipped(logits) {
    const begun = turning.start.logits, { d_vocab } = shape;
    let count = 0;
    for (let p = 0; p < pos; p++) {
      const best = (values) => values.subarray(p * d_vocab, (p + 1) * d_vocab).reduce((top, value, i, row) => (value > row[top] ? i : top), 0);
      if (begun[p * d_vocab + best(begun)] - begun[p * d_vocab + best(logits)] > 2 * turning.rounding) count++;
    }
    return count;
  }

  const ask = () => { asked ||= requestAnimationFrame(draw); };
  const askAnew = () => { stale = true; ask(); };
  const watched = { angle: ask, token: ask, head: askAnew, path: askAnew, plane: askAnew, breaks: askAnew, turned: askAnew };
  for (const [name, follow] of Object.entries(watched)) model.on(`change:${name}`, follow);
  const sized = new ResizeObserver(ask);
  sized.observe(el);
  ask();
  return () => {
    stop();
    sized.disconnect();
    for (const [name, follow] of Object.entries(watched)) model.off(`change:${name}`, follow);
  };
}

export default { render };
