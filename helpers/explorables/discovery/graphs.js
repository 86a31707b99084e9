// The four graphs of Discovery, over the steps of the training: what each shows, and how it is
// drawn.

import { make } from "../shared/common.js";
import { decimal } from "../shared/formats.js";
import {
  dotAt, fillGraph, levelLine, scale, spot, uprightLine, wordsAt,
} from "../shared/graph.js";
import { largest } from "../shared/numbers.js";
import { headName } from "../shared/words.js";
import { BORN, sameHead } from "./training.js";

export const MARGINS = { left: 34, right: 10 };
export const HEIGHTS = { loss: 142, scores: 182, composition: 140, copying: 140 };
const TOP = 6, FOOT = 18; // above what is drawn, and below it for the axis
const MOST_OTHERS = 64; // pairs of heads drawn faintly behind the chosen one
const DASHED = "4 3";

// ---- what they show: curves by the value that they take of a snapshot, and the levels of chance

export function lossGraph({ here, shape }) {
  const { guessing } = shape();
  return {
    top: Math.ceil(1.44 * guessing),
    levels: [{ value: guessing, name: "guessing" }],
    curves: [
      { value: (seen) => seen.loss_new, colour: "faint", dash: DASHED, told: true },
      { value: (seen) => seen.loss, colour: "ink", strong: true },
    ],
    label: `Loss over the steps. At step ${here.step}: ${here.loss.toFixed(2)} nats where the `
      + `token came before, ${here.loss_new.toFixed(2)} where it is new; guessing costs `
      + guessing.toFixed(2),
  };
}

export function scoresGraph({ here, shape, heads, head }) {
  const { chance } = shape(), best = largest(here.prefix_matching.flat());
  const curves = heads.flatMap(([layer, one]) => {
    const strong = sameHead([layer, one], head);
    return [
      { value: (seen) => seen.previous_token[layer][one], colour: "before", dash: DASHED, strong },
      { value: (seen) => seen.prefix_matching[layer][one], colour: "match", strong },
    ];
  });
  return {
    top: 1,
    levels: [{ value: BORN, name: "born" }, { value: chance, name: "chance", lift: 11 }],
    curves: strongLast(curves),
    label: `Scores of every head over the steps. At step ${here.step} the best prefix matching is `
      + `${best.toFixed(2)}, chance is ${chance.toFixed(2)}`,
  };
}

export function compositionGraph(training) {
  const { here, writer, reader } = training, chance = training.shape().composition_chance;
  const chosen = (seen) => training.composition(seen, writer, reader);
  const others = here.composition.flatMap((row, w) =>
    row.map((_, r) => ({ value: (seen) => seen.composition[w][r], colour: "ink", faint: true })));
  return {
    top: Math.ceil(10 * training.topComposition) / 10,
    levels: [{ value: chance, name: "chance" }],
    curves: [
      ...(others.length <= MOST_OTHERS ? others : []),
      { value: (seen) => seen.composition_limit, colour: "faint", dash: DASHED },
      { value: chosen, colour: "ink", strong: true },
    ],
    label: `K-composition over the steps. At step ${here.step} head ${headName(reader)} reads head `
      + `${headName(writer)} with ${chosen(here).toFixed(3)}; chance is ${chance.toFixed(3)}, and `
      + `one random model in twenty has a pair above ${training.compositionLimit?.toFixed(3)}`,
  };
}

export function copyingGraph({ here, shape, heads, head }) {
  const { copying_chance } = shape(), [layer, one] = head;
  const curves = heads.map(([l, h]) => {
    const strong = sameHead([l, h], head);
    return { value: (seen) => seen.copying[l][h], colour: "copy", strong, faint: !strong };
  });
  return {
    low: -1, top: 1, band: copying_chance,
    curves: strongLast(curves),
    label: `Copying statistic over the steps, from -1 to 1. At step ${here.step} head `
      + `${headName(head)} has ${here.copying[layer][one].toFixed(2)}; random matrices lie within `
      + `${copying_chance.toFixed(2)} of 0`,
  };
}

const strongLast = (curves) => curves.sort((a, b) => a.strong - b.strong);

// ---- how they are drawn

export function drawGraph(svg, training, { low = 0, top, curves, levels = [], band, label }) {
  const width = svg.clientWidth || 460, height = +svg.getAttribute("height");
  const floor = height - FOOT;
  const ends = [MARGINS.left, width - MARGINS.right], { steps } = training.shape();
  const x = scale([0, steps], ends), y = scale([low, top], [floor, TOP]);
  const now = x(training.here.step);
  fillGraph(svg, width, height, [
    levelLine(y(low), ends, { class: "base" }),
    ...(band ? [bandAround(y(band), y(-band), ends)] : []),
    ...[low, (low + top) / 2, top].map((value) =>
      wordsAt(ends[0] - 6, y(value) + 3, String(+value.toFixed(2)), { "text-anchor": "end" })),
    ...stepAxis(steps, x, height),
    ...curves.flatMap((curve) => curveParts(training, curve, x, y, top)),
    ...levels.flatMap(({ value, name, lift = 4 }) => [ // above heads that stay at chance
      levelLine(y(value), ends, { class: "level" }),
      wordsAt(ends[1] - 6, y(value) - lift, name, { class: "halo", "text-anchor": "end" }),
    ]),
    uprightLine(now, [2, floor], { class: "now" }),
  ]);
  svg.setAttribute("aria-label", label);
}

const bandAround = (top, bottom, [start, end]) =>
  make("rect", { class: "band", x: start, width: end - start, y: top, height: bottom - top });

const stepAxis = (steps, x, height) => axisShares(x(steps)).map((share) => {
  const last = share === 1, words = last ? `${steps} steps` : String(Math.round(share * steps));
  return wordsAt(x(share * steps), height - 4, words, { "text-anchor": last ? "end" : "middle" });
});

const axisShares = (width) => (width < 300 ? [0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1]);

function curveParts({ snapshots, here }, { value, colour, ...style }, x, y, top) {
  const path = make("path", {
    d: pathBelow(snapshots, value, x, y, top), fill: "none", stroke: `var(--${colour})`,
    "stroke-width": strokeWidth(style), "stroke-dasharray": style.dash, opacity: opacity(style),
  });
  const number = value(here);
  if (isMissing(number) || !(style.strong || style.told)) return [path];
  if (number > top) return [path, offTheChart(number, x(here.step), x(0))];
  return [path, dotAt(x(here.step), y(number), 3.5, { fill: `var(--${colour})` })];
}

// A value above the scale is said where its curve leaves it.
function offTheChart(number, at, start) {
  const anchor = at - start < 60 ? "start" : "end", aside = anchor === "start" ? 5 : -5;
  return wordsAt(at + aside, TOP + 8, `${decimal(number)} ↑`,
    { class: "halo off", "text-anchor": anchor });
}

const isMissing = (number) => number === null || number === undefined;

function strokeWidth({ strong, dash }) {
  if (!strong) return 1.2;
  return dash ? 1.8 : 2.4;
}

function opacity({ strong, faint }) {
  if (faint) return 0.3;
  return strong ? 1 : 0.7;
}

// A line through a curve's values. One point a pixel is enough, and the last. Where the curve
// leaves the scale the line goes up to its edge, and begins anew where the curve comes back.
function pathBelow(snapshots, value, x, y, top) {
  let path = "", drawnTo = -2, pen = "M";
  snapshots.forEach((snapshot, i) => {
    const number = value(snapshot), at = x(snapshot.step), isLast = i === snapshots.length - 1;
    if (isMissing(number) || (at - drawnTo < 1 && !isLast) || (!pen && number > top)) return;
    path += `${pen || "M"}${spot(at, y(Math.min(number, top)))}`;
    drawnTo = at;
    pen = number > top ? "" : "L";
  });
  return path;
}
