// The graph of Rotation, over the angle: the largest change of a logit on a log scale, and below it
// the coordinates' kurtosis.

import { make } from "../shared/common.js";
import { powerOfTen } from "../shared/formats.js";
import {
  dotAt, fillGraph, levelLine, scale, scrubAlong, spot, uprightLine, wordsAt,
} from "../shared/graph.js";
import { clamp, largest } from "../shared/numbers.js";

const HEIGHT = 234, MARGINS = { left: 66, right: 14 }; // in pixels
const CHANGE = { top: 20, bottom: 138 }, KURTOSIS = { top: 172, bottom: 214 };
const DECADES = [-8, 3]; // of the change; what is smaller lies on the floor
const NEIGHBOURS = 15; // degrees within which two angles seen are joined: more is not guessed

export function makeGraph(onAngle) {
  const svg = make("svg", { role: "img", class: "graph" });
  scrubAlong(svg, MARGINS, (share) => onAngle(clamp(Math.round(share * 720) / 2, 0, 360)));
  return svg;
}

// `history`: by the switches, what was measured at each angle seen; `key` is that of the switches
// as they are. `rounding` and `spread` are levels of change, `nullKurtosis` one of kurtosis.
export function drawGraph(svg, { angle, now, rounding, spread, nullKurtosis, history, key }) {
  const width = svg.clientWidth || 600, ends = [MARGINS.left, width - MARGINS.right];
  const x = scale([0, 360], ends);
  const places = { change: changePlace, kurtosis: kurtosisPlace(history, nullKurtosis) };
  const curves = [...history].flatMap(([of, seen]) => Object.entries(places).map(([what, y]) => {
    const name = curveClass(what === "change" && largestOf(seen) > rounding, of === key);
    return make("path", { d: curveThrough(seen, what, x, y), class: name });
  }));
  svg.style.height = `${HEIGHT}px`;
  fillGraph(svg, width, HEIGHT, [
    ...changeLevels(rounding, spread, ends),
    ...kurtosisLevels(places.kurtosis(nullKurtosis), ends),
    ...decades(),
    ...degrees(x),
    ...curves,
    ...changeWords(spread, ends[1]),
    ...kurtosisWords(places.kurtosis, nullKurtosis, now.kurtosis, ends[1]),
    uprightLine(x(angle), [CHANGE.top - 6, CHANGE.bottom], { class: "now" }),
    uprightLine(x(angle), [KURTOSIS.top - 4, KURTOSIS.bottom], { class: "now" }),
    dotAt(x(angle), changePlace(now.change), 5, { class: "now" }),
    dotAt(x(angle), places.kurtosis(now.kurtosis), 4, { class: "now" }),
  ]);
}

const decade = scale(DECADES, [CHANGE.bottom, CHANGE.top]);
const changePlace = (value) =>
  value === 0 ? CHANGE.bottom : decade(clamp(Math.log10(value), ...DECADES));

function kurtosisPlace(history, nullKurtosis) {
  const seen = [...history.values()].flatMap((curve) => [...curve.values()]);
  const most = largest(seen.map((values) => values.kurtosis), nullKurtosis + 1) * 1.05;
  return scale([0, most], [KURTOSIS.bottom, KURTOSIS.top]);
}

function changeLevels(rounding, spread, ends) {
  const edge = changePlace(rounding), [x, end] = ends, height = CHANGE.bottom - edge;
  return [
    make("rect", { x, y: edge, width: end - x, height, class: "rounding" }),
    levelLine(edge, ends, { class: "edge" }),
    levelLine(changePlace(spread), ends, { class: "chance" }),
    levelLine(CHANGE.bottom, ends, { class: "rule" }),
  ];
}

const kurtosisLevels = (nullPlace, ends) => [
  levelLine(nullPlace, ends, { class: "chance" }),
  levelLine(KURTOSIS.bottom, ends, { class: "rule" }),
];

const AT_END = { "text-anchor": "end" };

const changeWords = (spread, end) => [
  wordsAt(end - 4, CHANGE.bottom - 5, "float32 rounding", { ...AT_END, class: "inside" }),
  wordsAt(end - 4, changePlace(spread) + 11, "standard deviation of the logits", AT_END),
  wordsAt(0, 9, "largest change of a logit, log scale", { class: "title" }),
];

function kurtosisWords(place, nullKurtosis, now, end) {
  const level = place(nullKurtosis), away = KURTOSIS.bottom - level > 14 ? 11 : -4;
  const words = `${nullKurtosis.toFixed(2)} where no coordinate is special`;
  return [
    wordsAt(0, KURTOSIS.top - 10, "kurtosis of the coordinates", { class: "title" }),
    wordsAt(end - 4, level + away, words, AT_END),
    wordsAt(MARGINS.left - 6, place(now) + 3, now.toFixed(1), { ...AT_END, class: "value" }),
  ];
}

function decades() {
  const every = [];
  for (let exponent = DECADES[0] + 2; exponent < DECADES[1]; exponent += 2) every.push(exponent);
  return every.map((exponent) =>
    wordsAt(MARGINS.left - 6, decade(exponent) + 3, powerOfTen(exponent), AT_END));
}

const degrees = (x) => [0, 90, 180, 270, 360].flatMap((at) => [
  wordsAt(x(at), HEIGHT - 6, `${at}°`, { "text-anchor": at === 360 ? "end" : "middle" }),
  uprightLine(x(at), [CHANGE.bottom, CHANGE.bottom + 4], { class: "rule" }),
]);

const largestOf = (seen) => largest([...seen.values()].map(({ change }) => change));
const curveClass = (broken, isNow) => `curve${isNow ? "" : " ghost"}${broken ? " broken" : ""}`;

// A line through the angles seen, in their order, and a dot for one without a neighbour: nothing is
// guessed in between. A change that is exactly zero has no logarithm and is left out.
function curveThrough(history, what, x, place) {
  const seen = [...history].filter(([, { change }]) => what !== "change" || change > 0)
    .sort(([a], [b]) => a - b);
  return seen.map(([angle, values], i) => {
    const joined = i && angle - seen[i - 1][0] <= NEIGHBOURS;
    return `${joined ? "L" : "M"}${spot(x(angle), place(values[what]))}${joined ? "" : "h0"}`;
  }).join("") || "M0 0";
}
