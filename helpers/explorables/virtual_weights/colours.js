// The colours of the theme, as numbers, and what is mixed from them.

import { make } from "../shared/common.js";

export const FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif";

export const blend = (from, to, share) =>
  from.map((part, i) => Math.round(part + (to[i] - part) * share));
export const rgba = (parts, alpha = 1) => `rgba(${parts.join(",")},${alpha})`;

// Zero in a matrix is the paper, light or dark; JupyterLab's greys are see-through, and lie on it.
export function readColours(el) {
  const probe = make("span"), colours = {};
  el.append(probe);
  const names = ["paper", "ink", "faint", "rule", "match", "before", "now", "raises", "lowers"];
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    const [red, green, blue, alpha = 1] =
      getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    colours[name] = blend(colours.paper ?? [red, green, blue], [red, green, blue], alpha);
  }
  probe.remove();
  return colours;
}

// Of an entry, as a share of the largest: violet where it raises, green where it lowers. Blue and
// orange are roles of heads.
export const signShade = (value, colours) => blend(colours.paper,
  value < 0 ? colours.lowers : colours.raises, Math.min(Math.abs(value), 1) ** 0.8);

export const roleColour = ({ role }, colours) =>
  ({ previous_token: colours.before, prefix_matching: colours.match })[role];

// Words that cross lines stay readable.
export function halo(context, words, x, y, colours) {
  context.lineJoin = "round";
  context.lineWidth = 4;
  context.strokeStyle = rgba(colours.paper, 0.9);
  context.strokeText(words, x, y);
}
