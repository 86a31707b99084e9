// The view of Discovery. It keeps every snapshot it is sent and draws the one under the scrubber; nothing is asked of
// the kernel but training. Left stands what happens over the training, right what is there at the step under the scrubber.

import { SHADES, begin, caption, clamp, make, pointAt } from "../shared/common.js";

const LEFT = 34, RIGHT = 10, BORN = 0.5;
const TEXT_NOTE = "Text takes minutes where random tokens take seconds. In the run that ships with the course, the first head passed one half after a third of the steps.";
const LOADING = "Reading Python's standard library and cutting it into tokens. The first time this takes a while; then it is kept.";
const GONE = "The kernel has been restarted, and this training is lost with it. Run the cell again for a new one.";

function render({ model, el }) {
  let snapshots = [], index = 0, following = true, born = null, query = null, column, due = 0; // the row and the column of the pattern that one points at
  let picked = {}; // what the reader chose: head, writer, reader as [layer, head]; what is missing follows the training
  const shape = () => model.get("shape");
  const me = Math.random().toString(36).slice(2); // the kernel answers one view's "show", and others need not listen
  let caughtUp = false; // with what was seen before this view opened
  function tell(what, more = {}) {
    try {
      model.send({ do: what, ...more });
    } catch { // the kernel that this view belongs to has gone
      note.textContent = GONE;
      note.classList.add("refused");
    }
  }
  const same = (a, b) => a[0] === b[0] && a[1] === b[1];
  const named = ([layer, head]) => `${layer}.${head}`;

  // ---- controls

  const train = make("button", { class: "main", onclick: () => tell(model.get("status") === "training" ? "pause" : "train") });
  const step = make("button", { onclick: () => tell("step") }, "Step");
  const reset = make("button", { onclick: () => tell("reset", { settings: settings() }) }, "Reset");
  const options = (values) => values.map((value) => make("option", { value }, String(value)));
  const task = make("select", {}, ...options(["random periods", "one fixed period", "text"]));
  const layers = make("select", {}, ...options([1, 2, 3]));
  const perLayer = make("select", {}, ...options([1, 2, 4, 8]));
  const smeared = make("input", { type: "checkbox" });
  const rate = make("input", { type: "number", min: 0.001, max: 1, step: 0.005 });
  const seed = make("input", { type: "number", min: 0, step: 1 });
  const settings = () => ({ n_layers: +layers.value, n_heads: +perLayer.value, smeared_keys: smeared.checked, task: task.value,
    muon_lr: rate.value === "" ? 0 : +rate.value, seed: seed.value === "" ? -1 : +seed.value });
  for (const control of [layers, perLayer, smeared, rate, seed])
    control.addEventListener("change", () => tell("reset", { settings: settings() }));
  task.addEventListener("change", () => { // another task brings its own learning rate
    const { muon_lr, ...others } = settings();
    tell("reset", { settings: others });
  });
  const choices = [["data", task], ["layers", layers], ["heads", perLayer], ["smeared keys", smeared], ["learning rate", rate], ["seed", seed]];
  const controls = make("div", { class: "row" }, train, step, reset, ...choices.map(([name, control]) => make("label", {}, name, control)));
  const note = make("p", { class: "note", role: "status" });

  const scrubber = make("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Scrub through the training",
    oninput: () => go(+scrubber.value) });
  const where = make("span", { class: "where" });
  const toBirth = make("button", { onclick: () => go(born.at) }, "To the birth");
  const scrub = make("div", { class: "scrub" }, scrubber, where, toBirth);

  // ---- the linked views

  const graphs = { loss: 150, scores: 190, composition: 130, copying: 140 };
  for (const [name, height] of Object.entries(graphs)) {
    const svg = (graphs[name] = make("svg", { role: "img", height }));
    const point = (event) => {
      if (!snapshots.length || (event.type === "pointermove" && !event.buttons)) return;
      const box = svg.getBoundingClientRect();
      const at = ((event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * shape().steps;
      go(snapshots.reduce((best, snapshot, i) => Math.abs(snapshot.step - at) < Math.abs(snapshots[best].step - at) ? i : best, 0));
    };
    pointAt(svg, point);
  }
  const key = (text, colour) => make("span", { class: "key", style: `color: var(--${colour}-text, var(--${colour}))` }, text);
  const writer = make("select", { "aria-label": "Head that writes", onchange: () => pair("writer", writer) });
  const reader = make("select", { "aria-label": "Head that reads", onchange: () => pair("reader", reader) });
  const pairTitle = make("h4", {}, "K-composition: head ", reader, " reads what ", writer, " wrote", key("‒ ‒ 1 in 20 by chance", "faint"));
  const copyingTitle = make("h4", {});
  const over = make("div", {},
    make("h4", {}, "Loss in nats, where the token", key("— came before", "ink"), key("‒ ‒ is new", "faint")), graphs.loss,
    make("h4", {}, "Every head", key("— prefix matching", "match"), key("‒ ‒ previous token", "before")), graphs.scores,
    pairTitle, graphs.composition, copyingTitle, graphs.copying);
  const board = make("div", { class: "board", role: "group", "aria-label": "Heads: choose one to see its pattern" });
  const canvas = make("canvas", { tabindex: 0, role: "application", "aria-roledescription": "attention pattern" });
  const patternTitle = make("h4", {});
  const strip = make("div", { class: "strip", "aria-hidden": "true" });
  const says = caption(el);
  const moment = make("div", { class: "moment" },
    make("div", {}, make("h4", {}, "Heads, at this step", key("prefix matching", "match"), " over ", make("span", { class: "before" }, "previous token")), board),
    make("div", { class: "pattern" }, patternTitle, canvas), make("div", {}, strip, says));

  pointAt(canvas, (event) => {
    const box = canvas.getBoundingClientRect();
    const place = (at, from, size) => clamp(Math.floor(((at - from) / size) * shape().pos), 0, shape().pos - 1);
    look(place(event.clientY, box.top, box.height), place(event.clientX, box.left, box.width));
  }, () => look(null));
  pointAt(strip, (event) => { if (event.target.dataset.at) look(+event.target.dataset.at); }, () => look(null));
  canvas.addEventListener("keydown", (event) => {
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key], right = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") return look(null);
    if (!down && !right) return;
    const row = clamp((query ?? shape().pos - 1) + (down ?? 0), 0, shape().pos - 1);
    look(row, right ? clamp((column ?? row) + right, 0, row) : undefined);
  });

  begin(el, "discovery");
  el.append(controls, note, scrub, make("div", { class: "views" }, over, moment));

  // ---- what is chosen

  function go(to) {
    index = clamp(to, 0, snapshots.length - 1);
    following = index === snapshots.length - 1;
    draw();
  }

  // The head that was born first, unless the reader chose another; and who it may have read.
  const head = () => picked.head ?? born?.head ?? [shape().n_layers - 1, 0];
  const readerHead = () => picked.reader ?? (head()[0] > 0 ? head() : born?.head[0] ? born.head : [shape().n_layers - 1, 0]);
  function writerHead() {
    const below = readerHead()[0];
    if (picked.writer && picked.writer[0] < below) return picked.writer;
    const scores = (born ? snapshots[born.at] : snapshots.at(-1)).previous_token.slice(0, below);
    return best(scores) ?? [0, 0];
  }
  function best(scores) {
    let found = null;
    scores.forEach((row, l) => row.forEach((score, h) => { if (!found || score > scores[found[0]][found[1]]) found = [l, h]; }));
    return found;
  }
  function choose(at) {
    picked.head = at;
    if (at[0] > 0) picked.reader = at;
    else picked.writer = at;
    draw();
  }
  function pair(role, select) {
    picked[role] = select.value.split(".").map(Number);
    const { reader: reads, writer: writes } = picked;
    if (role === "writer" && writes[0] >= readerHead()[0]) picked.reader = [writes[0] + 1, readerHead()[1]];
    if (role === "reader" && writes && writes[0] >= reads[0]) delete picked.writer;
    draw();
  }

  // ---- drawing

  function graph(svg, { low = 0, top, curves, levels = [], band, label, axis }) {
    const width = svg.clientWidth || 460, height = +svg.getAttribute("height"), foot = axis ? 18 : 6, { steps } = shape();
    const x = (at) => LEFT + (at / steps) * (width - LEFT - RIGHT);
    const y = (value) => height - foot - ((value - low) / (top - low)) * (height - foot - 6);
    const across = (value, style) => make("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), ...style });
    const parts = [across(low, { class: "base" })];
    if (band) parts.push(make("rect", { class: "band", x: LEFT, width: width - LEFT - RIGHT, y: y(band), height: y(-band) - y(band) }));
    for (const at of [low, (low + top) / 2, top]) parts.push(make("text", { x: LEFT - 6, y: y(at) + 3, "text-anchor": "end" }, String(+at.toFixed(2))));
    if (axis) for (const share of [0, 0.25, 0.5, 0.75, 1])
      parts.push(make("text", { x: x(share * steps), y: height - 4, "text-anchor": share === 1 ? "end" : "middle" }, share === 1 ? `${steps} steps` : String(Math.round(share * steps))));
    const now = snapshots[index].step;
    for (const { value, colour, dash, strong, faint } of curves) {
      let d = "", last = -2, pen = "M", dot = null;
      snapshots.forEach((snapshot, i) => {
        const number = value(snapshot);
        if (number === null || number === undefined) return;
        if (i === index) dot = number;
        if (x(snapshot.step) - last < 1 && i < snapshots.length - 1) return; // a pixel is enough
        if (pen === "" && number > top) return; // off the scale, and it was before
        last = x(snapshot.step);
        d += `${pen || "M"}${last.toFixed(1)} ${y(Math.min(number, top)).toFixed(1)}`;
        pen = number > top ? "" : "L";
      });
      parts.push(make("path", { d, fill: "none", stroke: `var(--${colour})`, "stroke-width": strong ? (dash ? 1.8 : 2.4) : 1.2, "stroke-dasharray": dash, opacity: faint ? 0.3 : strong ? 1 : 0.7 }));
      if (strong && dot !== null && dot <= top) parts.push(make("circle", { cx: x(now), cy: y(dot), r: 3.5, fill: `var(--${colour})` }));
    }
    for (const { value, name } of levels) parts.push(across(value, { class: "level" }), make("text", { class: "halo", x: width - RIGHT - 6, y: y(value) - 4, "text-anchor": "end" }, name));
    parts.push(make("line", { class: "now", x1: x(now), x2: x(now), y1: 2, y2: height - foot }));
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.replaceChildren(...parts);
    svg.setAttribute("aria-label", label);
  }

  function draw() { // at most once a frame
    due ||= requestAnimationFrame(() => { due = 0; if (snapshots.length && el.isConnected) drawAll(); });
  }

  function drawAll() {
    const here = snapshots[index], { n_layers, n_heads, steps, guessing, chance } = shape(), chosen = head();
    scrubber.max = snapshots.length - 1;
    scrubber.value = index;
    scrubber.setAttribute("aria-valuetext", `step ${here.step}`);
    where.textContent = `step ${here.step} of ${steps}`;
    toBirth.disabled = !born;
    toBirth.title = born ? `step ${snapshots[born.at].step}: the first head passes one half` : "no head has passed one half yet";
    graph(graphs.loss, { top: Math.ceil(1.44 * guessing), levels: [{ value: guessing, name: "guessing" }],
      curves: [{ value: (s) => s.loss_new, colour: "faint", dash: "4 3" }, { value: (s) => s.loss, colour: "ink", strong: true }],
      label: `Loss over the steps. At step ${here.step}: ${here.loss.toFixed(2)} nats where the token came before, ${here.loss_new.toFixed(2)} where it is new; guessing costs ${guessing.toFixed(2)}` });
    const all = here.prefix_matching.flatMap((row, l) => row.map((_, h) => [l, h]));
    const curves = all.flatMap(([l, h]) => [["previous_token", "before", "4 3"], ["prefix_matching", "match"]].map(([score, colour, dash]) =>
      ({ value: (s) => s[score][l][h], colour, dash, strong: same([l, h], chosen) })));
    graph(graphs.scores, { top: 1, levels: [{ value: chance, name: "chance" }], curves: curves.sort((a, b) => a.strong - b.strong),
      label: `Scores of every head over the steps. At step ${here.step} the best prefix matching is ${Math.max(...here.prefix_matching.flat()).toFixed(2)}, chance is ${chance.toFixed(2)}` });
    drawPair(here, n_layers, n_heads);
    drawCopying(here, all, chosen);
    drawBoard(here, all, n_heads, chosen);
    drawPattern(here, chosen);
  }

  function drawPair(here, n_layers, n_heads) {
    for (const part of [pairTitle, graphs.composition]) part.style.display = n_layers > 1 ? "" : "none"; // one layer: nobody to read
    if (n_layers < 2) return;
    const reads = readerHead(), writes = writerHead();
    offer(reader, 1, n_layers, n_heads, reads);
    offer(writer, 0, n_layers - 1, n_heads, writes);
    const at = ([l, h]) => l * n_heads + h, score = (s, w, r) => s.composition[at(w)][at(r) - n_heads];
    const top = Math.max(0.3, ...snapshots.flatMap((s) => s.composition.flat()));
    const chosen = { value: (s) => score(s, writes, reads), colour: "ink", strong: true };
    const limit = { value: (s) => s.composition_limit, colour: "faint", dash: "4 3" };
    const others = here.composition.flatMap((row, w) => row.map((_, r) => ({ value: (s) => s.composition[w][r], colour: "ink", faint: true })));
    const limits = snapshots.filter((s) => s.composition_limit !== null);
    graph(graphs.composition, { top: Math.ceil(10 * top) / 10, curves: [...(others.length <= 64 ? others : []), limit, chosen],
      levels: [{ value: shape().composition_chance, name: "chance" }],
      label: `K-composition over the steps. At step ${here.step} head ${named(reads)} reads head ${named(writes)} with ${chosen.value(here).toFixed(3)}; `
        + `chance is ${shape().composition_chance.toFixed(3)}, and one random model in twenty has a pair above ${limits.at(-1)?.composition_limit.toFixed(3)}` });
  }

  function offer(select, from, to, n_heads, chosen) {
    const values = Array.from({ length: (to - from) * n_heads }, (_, i) => `${from + Math.floor(i / n_heads)}.${i % n_heads}`);
    if (values.join() !== [...select.options].map((option) => option.value).join()) select.replaceChildren(...options(values));
    select.value = named(chosen);
  }

  function drawCopying(here, all, chosen) {
    copyingTitle.replaceChildren(`Copying eigenvalues of head ${named(chosen)}`, key("— share that is positive, less the negative", "copy"));
    const curves = all.map(([l, h]) => ({ value: (s) => s.copying[l][h], colour: "copy", strong: same([l, h], chosen), faint: !same([l, h], chosen) }));
    graph(graphs.copying, { low: -1, top: 1, band: shape().copying_chance, curves: curves.sort((a, b) => a.strong - b.strong), axis: true,
      label: `Copying statistic over the steps, from -1 to 1. At step ${here.step} head ${named(chosen)} has ${here.copying[chosen[0]][chosen[1]].toFixed(2)}; `
        + `random matrices lie within ${shape().copying_chance.toFixed(2)} of 0` });
  }

  function drawBoard(here, all, n_heads, chosen) {
    if (board.children.length !== all.length || board.dataset.heads !== String(n_heads)) {
      board.dataset.heads = n_heads;
      board.style.gridTemplateColumns = `repeat(${n_heads}, minmax(0, 1fr))`;
      board.replaceChildren(...all.map((at) => make("button", { onclick: () => choose(at) },
        make("small", {}, named(at)), make("span", {}), make("br"), make("span", {}))));
    }
    [...board.children].forEach((button, i) => {
      const [l, h] = all[i], match = here.prefix_matching[l][h], before = here.previous_token[l][h];
      const [first, second] = button.querySelectorAll("span");
      first.textContent = match.toFixed(2);
      second.textContent = before.toFixed(2);
      first.className = match > BORN ? "match" : "";
      second.className = before > BORN ? "before" : "";
      button.setAttribute("aria-pressed", same([l, h], chosen));
      button.setAttribute("aria-label", `layer ${l}, head ${h}: prefix matching ${match.toFixed(2)}, previous token ${before.toFixed(2)}`);
    });
  }

  const attention = (row, column) => {
    const { n_heads, pos } = shape(), [l, h] = head();
    return snapshots[index].pattern[((l * n_heads + h) * pos + row) * pos + column] / 255;
  };

  function drawPattern(here, chosen) {
    const { pos } = shape(), context = canvas.getContext("2d");
    if (canvas.width !== pos) canvas.width = canvas.height = pos;
    const image = context.createImageData(pos, pos);
    for (let row = 0; row < pos; row++)
      for (let column = 0; column <= row; column++)
        image.data.set([...SHADES[Math.round(attention(row, column) * 255)], row === query || query === null ? 255 : 110], 4 * (row * pos + column));
    context.putImageData(image, 0, 0);
    patternTitle.textContent = `Where head ${named(chosen)} looks: from each row to the columns`;
    look(query, column);
  }

  // A row of the pattern: what one position attends to. Without a row in hand, the strip shows the last one.
  function look(row, at) {
    if (!snapshots.length) return;
    const changed = row !== query, { labels, pos } = shape(), from = Math.min(row ?? pos - 1, pos - 1);
    [query, column] = [row, at];
    if (changed) draw();
    if (strip.children.length !== pos || strip.dataset.labels !== labels.join()) {
      strip.dataset.labels = labels.join();
      strip.replaceChildren(...labels.map((label, at) => make("span", { "data-at": at }, label)));
    }
    [...strip.children].forEach((token, at) => {
      const share = at <= from ? attention(from, at) : 0;
      token.style.background = `color-mix(in srgb, var(--ink) ${Math.round(42 * share)}%, transparent)`; // words stay readable on it
      token.className = at === from ? "from" : at > from ? "later" : share > 0.45 ? "strong" : "";
    });
    tellOf(row === null ? null : from);
  }

  function tellOf(row) {
    const here = snapshots[index], { labels, tokens } = shape(), flat = here.prefix_matching.flat();
    if (row === null) {
      const above = flat.filter((score) => score > BORN).length;
      says.textContent = `Step ${here.step}: loss ${here.loss.toFixed(2)} nats where the token came before, ${here.loss_new.toFixed(2)} where it is new. `
        + (above ? `${above} of ${flat.length} heads match prefixes.` : "No head matches prefixes.");
    } else {
      let at = column;
      if (at === undefined || at > row) for (let j = (at = 0); j <= row; j++) if (attention(row, j) > attention(row, at)) at = j;
      says.textContent = `From position ${row} (${labels[row]}), ${(100 * attention(row, at)).toFixed(0)}% of the attention goes to position ${at} (${labels[at]})`
        + (at > 1 && tokens[at - 1] === tokens[row] ? `, right after an earlier ${labels[row]}: an induction target.` : ".");
    }
    canvas.setAttribute("aria-label", `Attention pattern; arrow keys move the row and the column. ${says.textContent}`);
  }

  function controlsFollow() {
    const status = model.get("status"), chosen = model.get("settings"), trouble = model.get("trouble");
    train.textContent = status === "training" ? "Pause" : "Train";
    const over = !["ready", "training", "paused"].includes(status), held = [train, step].includes(document.activeElement);
    train.disabled = step.disabled = over;
    if (over && held) scrubber.focus({ preventScroll: true }); // or the keyboard falls out of the view
    if (status !== "loading") { // until then they keep what the reader chose
      layers.value = chosen.n_layers;
      perLayer.value = chosen.n_heads;
      smeared.checked = chosen.smeared_keys;
      task.value = chosen.task;
      rate.value = chosen.muon_lr;
      seed.value = chosen.seed;
    }
    note.classList.toggle("refused", Boolean(trouble));
    noteFollows();
  }

  // What there is to say above the pictures. It is read aloud when it changes, so the minutes are whole ones.
  function noteFollows() {
    const status = model.get("status"), { step = 0, seconds = 0 } = snapshots.at(-1) ?? {};
    const minutes = step ? ((shape().steps - step) * seconds) / step / 60 : 0;
    const long = minutes > 0.5 && `about ${Math.round(minutes) || 1} minute${minutes < 1.5 ? "" : "s"}`;
    const text = model.get("settings").task === "text" && status !== "finished" ? ` ${TEXT_NOTE}` : "";
    const said = status === "loading" ? LOADING : model.get("trouble")
      || (status === "training" && long ? `To the end: ${long}. Pause whenever you like; Train goes on from there.${text}`
        : status === "paused" && long ? `Paused, and nothing is lost: Train goes on from step ${step}, ${long} to the end.` : text.trim());
    if (note.textContent !== said) note.textContent = said;
  }

  function hear(message, buffers) {
    if (message.type === "reset") {
      snapshots = []; index = 0; following = true; born = null; query = null; picked = {};
      controlsFollow();
    } else if (message.type === "refused") controlsFollow();
    else if (message.type === "snapshot") {
      if (message.view === me) caughtUp = true;
      else if (message.view || !caughtUp) return; // for another view, or newer than what this one waits for
      snapshots.push({ ...message, pattern: new Uint8Array(buffers[0].buffer, buffers[0].byteOffset, buffers[0].byteLength) });
      const strongest = best(message.prefix_matching);
      if (!born && message.prefix_matching[strongest[0]][strongest[1]] > BORN) born = { at: snapshots.length - 1, head: strongest };
      if (following) index = snapshots.length - 1;
      if (snapshots.length % 5 === 0) tell("saw"); // or the kernel takes the view for closed
      noteFollows();
      draw();
    }
  }

  const watched = ["change:status", "change:settings", "change:trouble"];
  model.on("msg:custom", hear);
  for (const event of watched) model.on(event, controlsFollow);
  const resized = new ResizeObserver(draw);
  resized.observe(el);
  controlsFollow();
  tell("show", { view: me });
  return () => {
    model.off("msg:custom", hear);
    for (const event of watched) model.off(event, controlsFollow);
    resized.disconnect();
    tell("closed");
  };
}

export default { render };
