// The sentences of Discovery. Needs no page.

import { asPercent } from "../shared/formats.js";
import { indexOfLargest } from "../shared/numbers.js";
import { headName, isTarget, targetWords } from "../shared/words.js";
import { BORN } from "./training.js";

const LOADING = "Reading Python's standard library and cutting it into tokens. The first time this "
  + "takes a while; then it is kept.";
export const GONE = "The kernel has been restarted, and this training is lost with it. Run the "
  + "cell again for a new one.";

// What there is to say above the pictures. It is read aloud when it changes, so the minutes are
// whole ones.
export function noteWords({ status, trouble, note }, training) {
  if (status === "loading") return LOADING;
  if (trouble) return trouble;
  const left = timeLeft(training), { step } = training.snapshots.at(-1) ?? {};
  if (status === "training" && left)
    return `To the end: ${left}. Pause whenever you like; Train goes on from there. ${note}`.trim();
  if (status === "paused" && left)
    return `Paused, and nothing is lost: Train goes on from step ${step}, ${left} to the end.`;
  return note;
}

// "" where it is not known, or so little that nobody asks.
function timeLeft({ snapshots, shape }) {
  const { step = 0, seconds = 0 } = snapshots.at(-1) ?? {};
  const minutes = step ? ((shape().steps - step) * seconds) / step / 60 : 0;
  if (minutes <= 0.5) return "";
  return `about ${Math.round(minutes) || 1} minute${minutes < 1.5 ? "" : "s"}`;
}

// What has happened; read aloud when it changes.
export function newsWords({ born, snapshots, shape }) {
  const isOver = snapshots.at(-1).step === shape().steps;
  if (!born) return isOver ? "Over. No head was born." : "";
  const birth = `born at step ${snapshots[born.at].step}.`;
  return `${isOver ? "Over. " : ""}Head ${headName(born.head)} was ${birth}`;
}

// What stands after an earlier copy of the row's last token, and what the model makes of it: words
// with the class that each is shown in.
export function trickWords(copied, share) {
  if (copied === null) return [["Nothing to copy: its last token stands here for the first time."]];
  const given = `. The model gives it ${asPercent(share)}.`;
  return [["The trick says ", ""], [copied, "match"], [given]];
}

// The sentence below the pictures: on the row that is pointed at, or on the step.
export function sentence(training, row, column) {
  if (row !== null) return rowWords(training, row, column);
  return stepWords(training.here, training.answers);
}

function stepWords({ step, loss, loss_new, prefix_matching }, { best: [[answer, share]] }) {
  const scores = prefix_matching.flat(), above = scores.filter((score) => score > BORN).length;
  return `Step ${step}: it answers ${answer}, with ${asPercent(share)}. `
    + `Loss ${loss.toFixed(2)} nats where the token came before, `
    + `${loss_new.toFixed(2)} where it is new. `
    + (above ? `${above} of ${scores.length} heads match prefixes.` : "No head matches prefixes.");
}

// Without a column: of the one that the row attends to most.
function rowWords(training, row, column) {
  const { labels, tokens } = training.shape();
  const shares = Array.from({ length: row + 1 }, (_, at) => training.attention(row, at));
  const at = column === undefined || column > row ? indexOfLargest(shares) : column;
  return `From position ${row} (${labels[row]}), ${(100 * shares[at]).toFixed(0)}% of the `
    + `attention goes to position ${at} (${labels[at]})`
    + (isTarget(tokens, row, at) ? `, ${targetWords(labels[row])}.` : ".");
}
