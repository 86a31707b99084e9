// The view of Discovery. It keeps every snapshot it is sent and draws the one under the scrubber; nothing is asked of
// the kernel but training.

const CIVIDIS = ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838"].map(
  (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
);
const SHADES = Array.from({ length: 256 }, (_, value) => {
  const place = (value / 255) * (CIVIDIS.length - 1);
  const low = Math.min(Math.floor(place), CIVIDIS.length - 2);
  return CIVIDIS[low].map((part, i) => part + (CIVIDIS[low + 1][i] - part) * (place - low));
});
const WIDTH = 460, LEFT = 34, RIGHT = 8; // of the two graphs, in their own units
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, ...children) {
  const element = ["svg", "path", "line", "text", "circle"].includes(tag)
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function render({ model, el }) {
  let snapshots = [], index = 0, following = true, chosen = null, query = null;
  const shape = () => model.get("shape");
  const tell = (what, more = {}) => model.send({ do: what, ...more });

  // ---- controls

  const train = make("button", { class: "main", onclick: () => tell(model.get("status") === "training" ? "pause" : "train") });
  const step = make("button", { onclick: () => tell("step") }, "Step");
  const reset = make("button", { onclick: () => tell("reset", { settings: settings() }) }, "Reset");
  const layers = make("select", {}, ...[1, 2, 3].map((n) => make("option", { value: n }, String(n))));
  const task = make("select", {}, ...["random periods", "one fixed period"].map((name) => make("option", {}, name)));
  const rate = make("input", { type: "number", min: 0.001, max: 1, step: 0.005 });
  const seed = make("input", { type: "number", min: 0, step: 1 });
  const settings = () => ({ n_layers: +layers.value, task: task.value, muon_lr: +rate.value, seed: +seed.value });
  for (const control of [layers, task, rate, seed]) control.addEventListener("change", () => tell("reset", { settings: settings() }));
  for (const field of [rate, seed])
    field.addEventListener("keydown", (event) => { if (event.key === "Enter") tell("reset", { settings: settings() }); });
  const controls = make("div", { class: "row" }, train, step, reset,
    make("label", {}, "layers", layers), make("label", {}, "data", task),
    make("label", {}, "learning rate", rate), make("label", {}, "seed", seed));

  const scrubber = make("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Scrub through the training",
    oninput: () => go(+scrubber.value) });
  const where = make("span", {});
  const scrub = make("div", { class: "scrub" }, make("span", {}, "scrub"), scrubber, where);

  // ---- the linked views

  const lossGraph = make("svg", { viewBox: `0 0 ${WIDTH} 165`, role: "img" });
  const scoreGraph = make("svg", { viewBox: `0 0 ${WIDTH} 235`, role: "img" });
  for (const graph of [lossGraph, scoreGraph]) {
    const point = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = graph.getBoundingClientRect();
      const at = (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT) * shape().steps;
      go(snapshots.reduce((best, snapshot, i) => Math.abs(snapshot.step - at) < Math.abs(snapshots[best].step - at) ? i : best, 0));
    };
    graph.addEventListener("pointerdown", point);
    graph.addEventListener("pointermove", point);
  }
  const board = make("div", { class: "board", role: "group", "aria-label": "Heads: choose one to see its pattern" });
  const canvas = make("canvas", { tabindex: 0, role: "img" });
  const patternTitle = make("h4", {});
  const says = make("p", { class: "says", "aria-live": "polite" });

  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    query = Math.floor(((event.clientY - box.top) / box.height) * shape().pos);
    caption(Math.floor(((event.clientX - box.left) / box.width) * shape().pos));
  });
  canvas.addEventListener("pointerleave", () => { query = null; draw(); });
  canvas.addEventListener("keydown", (event) => {
    const move = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") query = null;
    else if (move) query = Math.min(Math.max((query ?? shape().pos - 1) + move, 0), shape().pos - 1);
    else return;
    event.preventDefault(); // or the page scrolls
    draw();
  });

  el.classList.add("discovery");
  el.dataset.lmSuppressShortcuts = "true"; // keys pressed in here are not JupyterLab's commands
  el.append(controls, scrub,
    make("div", { class: "views" },
      make("div", {}, make("h4", {}, "Loss, in nats"), lossGraph,
        make("h4", {}, "Every head's scores", make("span", { class: "key", style: "color: var(--match)" }, "— prefix matching"),
          make("span", { class: "key", style: "color: var(--before)" }, "- - previous token")), scoreGraph, says),
      make("div", {}, make("h4", {}, "Heads: ", make("span", { class: "match" }, "prefix matching"), " over ",
        make("span", { class: "before" }, "previous token")), board, patternTitle, canvas)));

  // ---- drawing

  function go(to) {
    index = Math.min(Math.max(to, 0), snapshots.length - 1);
    following = index === snapshots.length - 1;
    draw();
  }

  const x = (at) => LEFT + (at / shape().steps) * (WIDTH - LEFT - RIGHT);

  function graph(svg, height, top, curves, levels, label) {
    const y = (value) => height - 18 - (value / top) * (height - 26);
    const parts = [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * shape().steps)).map((at) =>
      make("text", { x: x(at), y: height - 4, "text-anchor": "middle" }, String(at)));
    for (const at of [0, top / 2, top]) parts.push(make("text", { x: LEFT - 5, y: y(at) + 3, "text-anchor": "end" }, String(+at.toFixed(1))));
    parts.push(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(0), y2: y(0), stroke: "var(--rule)" }));
    for (const level of levels) parts.push(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(level), y2: y(level), stroke: "var(--faint)", "stroke-dasharray": "1 3" }));
    for (const { points, colour, dash, strong } of curves) {
      const d = points.filter(([, value]) => value !== null).map(([at, value], i) => `${i ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
      parts.push(make("path", { d, fill: "none", stroke: colour, "stroke-width": strong ? 2.6 : 1.3, "stroke-dasharray": dash, opacity: strong ? 1 : 0.75 }));
    }
    const now = snapshots[index]?.step ?? 0;
    parts.push(make("line", { x1: x(now), x2: x(now), y1: 4, y2: height - 18, stroke: "var(--now)", "stroke-width": 1.5 }));
    svg.replaceChildren(...parts);
    svg.setAttribute("aria-label", label);
  }

  function draw() {
    const here = snapshots[index];
    if (!here) return;
    const { n_layers, n_heads, pos, steps, guessing, chance } = shape();
    if (!chosen || chosen[0] >= n_layers) chosen = [n_layers - 1, 0];
    const [layer, head] = chosen;
    scrubber.max = snapshots.length - 1;
    scrubber.value = index;
    scrubber.setAttribute("aria-valuetext", `step ${here.step}`);
    where.textContent = `step ${here.step} of ${steps}`;
    graph(lossGraph, 165, 5, [{ points: snapshots.map((s) => [s.step, s.loss]), colour: "var(--ink)", strong: true }], [guessing],
      `Loss over the steps; at step ${here.step} it is ${here.loss?.toFixed(2) ?? "not measured yet"}, guessing costs ${guessing.toFixed(2)}`);
    const curves = [];
    for (let l = 0; l < n_layers; l++)
      for (let h = 0; h < n_heads; h++)
        for (const [score, colour, dash] of [["previous_token", "var(--before)", "4 3"], ["prefix_matching", "var(--match)", undefined]])
          curves.push({ points: snapshots.map((s) => [s.step, s[score][l][h]]), colour, dash, strong: l === layer && h === head });
    curves.sort((a, b) => a.strong - b.strong);
    const best = Math.max(...here.prefix_matching.flat());
    graph(scoreGraph, 235, 1, curves, [chance.prefix_matching], `Scores of every head over the steps; at step ${here.step} the best prefix matching is ${best.toFixed(2)}`);
    drawBoard(here, n_layers, n_heads);
    drawPattern(here, pos, n_heads);
    caption();
  }

  function drawBoard(here, n_layers, n_heads) {
    if (board.children.length !== n_layers * n_heads) {
      board.style.gridTemplateColumns = `repeat(${n_heads}, 1fr)`;
      board.replaceChildren();
      for (let l = 0; l < n_layers; l++)
        for (let h = 0; h < n_heads; h++)
          board.append(make("button", { onclick: () => { chosen = [l, h]; draw(); } },
            make("small", {}, `${l}.${h}`), make("span", {}), make("br"), make("span", {})));
    }
    [...board.children].forEach((button, i) => {
      const l = Math.floor(i / n_heads), h = i % n_heads;
      const match = here.prefix_matching[l][h], before = here.previous_token[l][h];
      const [first, second] = button.querySelectorAll("span");
      first.textContent = match.toFixed(2);
      second.textContent = before.toFixed(2);
      first.className = match > 0.5 ? "match" : "";
      second.className = before > 0.5 ? "before" : "";
      button.setAttribute("aria-pressed", l === chosen[0] && h === chosen[1]);
      button.setAttribute("aria-label", `layer ${l}, head ${h}: prefix matching ${match.toFixed(2)}, previous token ${before.toFixed(2)}`);
    });
  }

  const attention = (row, column) => snapshots[index].pattern[((chosen[0] * shape().n_heads + chosen[1]) * shape().pos + row) * shape().pos + column] / 255;

  function drawPattern(here, pos) {
    const [layer, head] = chosen;
    canvas.width = canvas.height = pos;
    const context = canvas.getContext("2d");
    const image = context.createImageData(pos, pos);
    for (let row = 0; row < pos; row++)
      for (let column = 0; column <= row; column++) {
        const at = 4 * (row * pos + column);
        const shade = SHADES[Math.round(attention(row, column) * 255)];
        image.data.set([...shade, row === query || query === null ? 255 : 110], at);
      }
    context.putImageData(image, 0, 0);
    patternTitle.textContent = `Head ${layer}.${head} at step ${here.step}: each row attends to the columns`;
  }

  function caption(column) {
    const here = snapshots[index];
    const { tokens, pos } = shape();
    const status = model.get("status");
    const trouble = status.startsWith("refused") || status.startsWith("stopped");
    says.classList.toggle("refused", trouble);
    if (trouble) { says.textContent = status; return; }
    if (query !== null) {
      const row = Math.min(query, pos - 1);
      let key = column;
      if (key === undefined || key > row) for (let j = key = 0; j <= row; j++) if (attention(row, j) > attention(row, key)) key = j;
      says.textContent = `From position ${row} (token ${tokens[row]}), ${(100 * attention(row, key)).toFixed(0)}% of the attention goes to position ${key} (token ${tokens[key]})`
        + (key > 1 && tokens[key - 1] === tokens[row] ? `, right after an earlier ${tokens[row]}: an induction target.` : ".");
    } else {
      const flat = here.prefix_matching.flat();
      const above = flat.filter((score) => score > 0.5).length;
      says.textContent = `Step ${here.step}: ${here.loss === null ? "nothing learned yet" : `loss ${here.loss.toFixed(2)} nats`}. `
        + (above ? `${above} of ${flat.length} heads match prefixes.` : "No head matches prefixes.");
    }
    canvas.setAttribute("aria-label", `Attention pattern; arrow keys choose a row. ${says.textContent}`);
  }

  function controlsFollow() {
    const status = model.get("status"), chosenSettings = model.get("settings");
    train.textContent = status === "training" ? "Pause" : "Train";
    train.disabled = status === "finished" || status.startsWith("stopped");
    step.disabled = train.disabled;
    layers.value = chosenSettings.n_layers;
    task.value = chosenSettings.task;
    rate.value = chosenSettings.muon_lr;
    seed.value = chosenSettings.seed;
    if (snapshots.length) caption();
  }

  function hear(message, buffers) {
    if (message.type === "reset") {
      snapshots = []; index = 0; following = true; query = null;
      controlsFollow();
    } else if (message.type === "snapshot") {
      if (snapshots.length && message.step <= snapshots.at(-1).step) return; // another view asked for them all
      snapshots.push({ ...message, pattern: new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength) });
      if (following) index = snapshots.length - 1;
      draw();
    }
  }
  model.on("msg:custom", hear);
  model.on("change:status", controlsFollow);
  model.on("change:settings", controlsFollow);
  controlsFollow();
  tell("show");
  return () => { model.off("msg:custom", hear); tell("pause"); };
}

export default { render };
