// The sentences of Attention. Needs no page.

import { decimal } from "../shared/formats.js";
import { indexOfLargest } from "../shared/numbers.js";
import { isTarget, targetWords } from "../shared/words.js";
import { FROM, entryOf, isMasked } from "./patterns.js";

const WORTH_A_NUMBER = 0.05; // share of the scale from which a token carries its number
const RESTS = 0.2; // attention on the first position from which its weighting needs a word

export const HINTS = {
  attention: "Attention: each row sums to 1. A head with nothing to do must still look somewhere, "
    + "often at BOS; switch to value-weighted to hide what moves little.",
  weighted: "Value-weighted: attention times the length of the value vector that it moves. This "
    + "hides attention that rests where there is little to move, as on BOS. Rows no longer sum to "
    + "1, and it says nothing about what is moved.",
  keys: "Point at a token, or use ← and →. A click or Enter holds it, so that the pointer can read "
    + "the others; Esc lets go. Shift and arrows: another head.",
};

export const KEYS = "Enter reads it; Shift and Enter break the line; Esc goes on to the tokens.";
export const GONE = "The kernel has been restarted or has gone. Run the cells again, and this one "
  + "last; your text stays here until then.";
export const SILENT = "No answer yet: the kernel is busy with another cell, or it has gone. Your "
  + "text stays here.";

export const countWords = (tokens, most) => `${tokens} tokens, of at most ${most}.`;

export const boardWords = ({ heads, out_of }) =>
  out_of ? `${heads.length} of ${out_of} heads` : "Every head, one row a layer";

// What the reader looks at, in a sentence or two.
export function sentence(scene, head, { chosen, other, direction }) {
  if (other !== null) return entryWords(scene, head, entryOf(direction, chosen, other));
  return direction === FROM ? rowWords(scene, head, chosen) : columnWords(scene, head, chosen);
}

function entryWords(scene, head, entry) {
  const { query, key } = entry, name = `Head ${head.name}`, from = positionName(scene, query);
  if (isMasked(entry))
    return `${name}: ${from} cannot see ${positionName(scene, key)}, which comes later.`;
  const to = relationWords(scene, query, key);
  return `${name}, from ${from} to ${to}: ${amount(head, query, key)}.`;
}

function rowWords(scene, head, query) {
  const strength = (key) => head.strength(query, key);
  const keys = Array.from({ length: query + 1 }, (_, key) => key)
    .sort((a, b) => strength(b) - strength(a));
  const next = keys.slice(1, 3).filter((key) => strength(key) >= WORTH_A_NUMBER * head.top)
    .map((key) => `${positionName(scene, key)} ${decimal(strength(key))}`);
  return `Head ${head.name} from ${positionName(scene, query)}: ${amount(head, query, keys[0])} `
    + `goes to ${relationWords(scene, query, keys[0])}.`
    + (next.length ? ` Then ${next.join(", ")}.` : "")
    + (head.weighted ? restWords(scene, head, query)
      : ` Spread evenly, each would get ${decimal(1 / (query + 1))}.`);
}

function restWords(scene, head, query) {
  const share = head.attention(query, 0);
  if (share <= RESTS) return "";
  return ` ${decimal(share)} of the attention rests on ${positionName(scene, 0)}, whose value `
    + `vector has length ${decimal(head.length(0))}.`;
}

function columnWords(scene, head, key) {
  const queries = Array.from({ length: scene.pos - key }, (_, after) => key + after);
  const best = queries[indexOfLargest(queries, (query) => head.strength(query, key))];
  const sum = queries.reduce((all, query) => all + head.strength(query, key), 0);
  const even = queries.reduce((all, query) => all + 1 / (query + 1), 0);
  return `Head ${head.name} to ${positionName(scene, key)}: most comes from `
    + `${positionName(scene, best)}, ${amount(head, best, key)}. In all, the ${queries.length} `
    + `that can see it give ${decimal(sum)} ${head.weighted ? "A·|v|" : "in sum"}; spread evenly `
    + `it would be ${decimal(even * (head.weighted ? head.length(key) : 1))}.`;
}

// How one token of the strip looks, and what it is called: by its entry with the chosen position.
export function tokenLook(scene, head, { chosen, other, direction }, i) {
  const entry = entryOf(direction, chosen, i), name = `position ${i}, token ${scene.labels[i]}`;
  const mark = `${i === other ? "pointed" : ""} ${isCopy(scene, chosen, i) ? "copy" : ""}`;
  if (isMasked(entry)) {
    const why = direction === FROM ? "in the future" : "too early to see it";
    return { shade: null, mark, says: `${name}, ${why}` };
  }
  const strength = head.strength(entry.query, entry.key), shade = strength / head.top;
  const numbered = shade >= WORTH_A_NUMBER || i === other || i === chosen;
  const note = numbered ? decimal(strength) : "";
  return { shade, note, mark, says: `${name}, ${decimal(strength)}` };
}

const isCopy = ({ tokens }, chosen, i) => i !== chosen && i > 0 && tokens[i] === tokens[chosen];

const positionName = ({ labels }, i) => `position ${i} “${labels[i]}”`;

function relationWords(scene, query, key) {
  const relation = relationOf(scene, query, key);
  return positionName(scene, key) + (relation && `, ${relation}`);
}

function relationOf({ tokens, labels }, query, key) {
  if (isTarget(tokens, query, key)) return targetWords(labels[query]);
  if (key === query) return "itself";
  if (key === query - 1) return "one step back";
  if (key > 0 && tokens[key] === tokens[query]) return "an earlier copy of itself";
  return key === 0 ? "the first of all, where heads like to rest" : "";
}

function amount({ weighted, attention, length, strength }, query, key) {
  const share = decimal(attention(query, key));
  if (!weighted) return `${share} of the attention`;
  return `${share} × ${decimal(length(key))} = ${decimal(strength(query, key))} A·|v|`;
}
