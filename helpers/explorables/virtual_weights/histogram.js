// The lit link's score among those that chance gives: a histogram, with the ceiling and all other
// links of the kind below it.

import { make } from "../shared/common.js";
import { dotAt, fillGraph, levelLine, scale, uprightLine, wordsAt } from "../shared/graph.js";
import { clamp, largest } from "../shared/numbers.js";
import { isStrong, readsAs } from "./links.js";

const HEIGHT = 76, BASE = 50, TALLEST = 30, MARGIN = 12, WORDS = 60; // in pixels
const LABELS = { top: 13, bottom: BASE + 22 };

export function drawHistogram(svg, width, told, link, kind) {
  const ends = [MARGIN, width - MARGIN], x = scale([0, told.top], ends);
  const chance = 1 / Math.sqrt(told.d_model), strong = isStrong(link, told);
  const colour = strong ? "var(--match)" : "var(--ink)";
  const ink = strong ? "var(--match-text)" : "var(--ink)";
  const line = (score, top, more) => uprightLine(x(score), [top, BASE], more);
  const words = (score, level, text, more) => wordsAt(
    clamp(x(score), WORDS, width - WORDS), level, text, { "text-anchor": "middle", ...more });
  const others = told.links.filter((other) => readsAs(other, kind));
  const bars = barsOf(told.blocks[link.null.at], ends);
  fillGraph(svg, width, HEIGHT, [
    make("path", { d: bars, fill: "var(--faint)", opacity: 0.5 }),
    levelLine(BASE, ends, { stroke: "var(--rule)" }),
    ...others.map(({ score }) =>
      uprightLine(x(score), [BASE + 2, BASE + 8], { stroke: "var(--faint)", opacity: 0.7 })),
    line(chance, 18, { stroke: "var(--faint)", "stroke-dasharray": "1 3", "stroke-width": 1.5 }),
    words(chance, LABELS.top, `chance 1/√${told.d_model} = ${chance.toFixed(3)}`),
    line(link.ceiling, 18, { stroke: "var(--faint)", "stroke-dasharray": "6 3" }),
    words(link.ceiling, LABELS.top, `ceiling ${link.ceiling.toFixed(3)}`),
    line(link.score, 24, { stroke: colour, "stroke-width": 3 }),
    dotAt(x(link.score), 24, 5, { fill: colour }),
    words(link.score, LABELS.bottom, `this link ${link.score.toFixed(3)}`, {
      style: `fill: ${ink}; font-weight: 700`,
    }),
    wordsAt(MARGIN, LABELS.bottom, "0"),
  ]);
  svg.setAttribute("aria-label", `Histogram of ${told.draws} scores by chance around `
    + `${link.mean.toFixed(3)}; this link scores ${link.score.toFixed(3)}, its ceiling is `
    + link.ceiling.toFixed(3));
}

// A bar a bin that is not empty, as one path.
function barsOf(counts, [from, to]) {
  const bar = (to - from) / counts.length, most = largest(counts, 1);
  return [...counts].map((count, i) => {
    const high = (TALLEST * count) / most, left = (from + i * bar).toFixed(1);
    return count ? `M${left} ${BASE}v${-high}h${bar.toFixed(2)}v${high}` : "";
  }).join("");
}
