// The names and the sentences of Rotation. Needs no page.

import { scientific } from "../shared/formats.js";
import { headName } from "../shared/words.js";

export const NAMES = {
  paths: { all: "all coordinates", kept: "all, but (1, …, 1) stays", plane: "one plane" },
  turned: {
    embedding: "W_E, W_pos", readers: "W_Q, W_K, W_V", writers: "W_O", unembedding: "W_U",
  },
  breaks: { centring: "LayerNorm's centring", gains: "a gain per coordinate", relu: "a ReLU" },
};
const AT_REST = {
  centring: "What is read loses its mean first, and that model is what all is compared with.",
  gains: "What is read is multiplied by a gain for each coordinate, and the readers are divided by "
    + "it: the same model.",
  relu: "After each layer a ReLU cuts each coordinate at a threshold that none falls below as long "
    + "as nothing turns: the same model.",
};

// `measured`: what there is at this angle, `begun` at 0 degrees.
export function sentence({ angle, breaks, turned }, measured, begun, { pos, d_vocab }) {
  if (angle === 0) return [
    "Drag the slider, or press Turn. At 0° nothing has turned.",
    ...breaks.map((name) => AT_REST[name]), "What will stay when it turns?",
  ].join(" ");
  const broken = [
    ...breaks.map((name) => NAMES.breaks[name]),
    ...Object.keys(NAMES.turned).filter((name) => !turned.includes(name))
      .map((name) => `${NAMES.turned[name]} not turned`),
  ];
  const spoilt = broken.length ? `, with ${broken.join(" and ")}` : "";
  return `At ${angle}°${spoilt}: of ${pos} × ${d_vocab} logits ${moveWords(measured)}; `
    + `${flipWords(measured.flipped, pos)}. The coordinates' kurtosis is `
    + `${measured.kurtosis.toFixed(1)}; it was ${begun.toFixed(1)}.`;
}

function moveWords({ change, fine }) {
  if (change === 0) return "none moves at all";
  return fine ? `none moves by more than ${scientific(change)}, which is float32 rounding`
    : `the most moved one moves by ${scientific(change)}`;
}

const flipWords = (flipped, pos) => (flipped
  ? `${flipped} of ${pos} top predictions change${flipped === 1 ? "s" : ""}`
  : `all ${pos} top predictions stay`);

// ---- what a screen reader hears of the controls and the pictures

export const angleWords = (angle, change) =>
  `${angle} degrees: largest change of a logit ${change.toExponential(0)}`;

export const graphWords = (measured, nullKurtosis) => "Over the angle, the largest change of a "
  + `logit on a log scale, now ${scientific(measured.change)}, and the kurtosis, now `
  + `${measured.kurtosis.toFixed(1)}; null ${nullKurtosis.toFixed(2)}`;

export function orbitWords(pos, axes, fine) {
  const where = fine ? "each on its circle" : "lines show how far each is off its circle";
  return `${pos} tokens as points, across ${axes.join(" and ")}; ${where}`;
}

export const barWords = (d, token) =>
  `${d} coordinates of the stream at position ${token}; outlined, those at 0 degrees`;

export const guessWords = (token, guesses) => `Top predictions after position ${token}: `
  + guesses.map(([guess, probability]) => `token ${guess} ${probability}`).join(", ");

export const mapWords = (name, pos, d) => (name === "stream"
  ? `The stream, ${pos} tokens by ${d} coordinates; arrow keys choose a token`
  : `${name} by ${d} coordinates`);

export const patternWords = (head, when) =>
  `Attention pattern of head ${headName(head)}, ${when}; arrow keys choose a row`;
