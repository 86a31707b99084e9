// The sentences of Savings. Needs no page.

import { decimal, nats } from "../shared/formats.js";
import { meanOf } from "../shared/numbers.js";
import { headName, isTarget } from "../shared/words.js";

const MOST_NAMED = 3; // heads

export function headingWords(heads) {
  if (heads.length > MOST_NAMED) return `What ${heads.length} heads save at each token`;
  const names = heads.map(headName), last = names.pop();
  return names.length ? `What heads ${names.join(", ")} and ${last} save at each token`
    : `What head ${last} saves at each token`;
}

export const themWords = (heads) => (heads.length > 1 ? "them" : "it");

// A line's end with the blanks after it, in few letters.
export const shortName = (label) =>
  label.replace(/⏎(·{2,})/g, (_, blanks) => `⏎+${blanks.length}`);

const called = ({ vocabulary, tokens }, i) => `“${shortName(vocabulary[tokens[i]])}”`;

export const titleWords = (scene, position) => (position
  ? `${called(scene, position)} after ${called(scene, position - 1)}`
  : `${called(scene, 0)} opens the passage`);

export const savedWords = (saved) =>
  `${nats(Math.abs(saved))} nats ${saved < 0 ? "lost" : "saved"}`;

export function meanWords({ heads, whole, without }) {
  const [now, then] = [whole, without].map(({ loss }) => meanOf(loss)), them = themWords(heads);
  return `${savedWords(then - now)} a token: the loss is ${nats(now)} with ${them}, ${nats(then)} `
    + `without ${them}. In all, by kind of token; press one to see it alone:`;
}

export function sentence(scene, position, read) {
  if (!read) return "Nothing stands before the first token, so nothing is expected there.";
  const { whole, without, saved } = read, them = themWords(scene.heads);
  return `With ${them} the loss at ${called(scene, position)} is ${nats(whole.loss)} nats, without `
    + `${them} ${nats(without.loss)}: ${savedWords(saved)}. ${lookWords(scene, read)}`;
}

function lookWords(scene, { row, looks, right }) {
  const from = called(scene, row), rest = looks.find(([key]) => key === 0);
  const rests = rest ? `${decimal(rest[1])} rests on ${called(scene, 0)}` : "";
  const best = looks.find(([key]) => key > 0);
  if (!best) return `From ${from} ${rests || "the attention goes everywhere, and nowhere much"}.`;
  const [key, weight] = best, comes = scene.tokens[key] === right;
  const match = isTarget(scene.tokens, row, key) ? `, right after an earlier ${from}: an induction `
    + `target, ${comes ? "and it comes again" : "which does not come now"}` : "";
  return `From ${from} ${decimal(weight)} of the attention goes to position ${key} `
    + `${called(scene, key)}${match}` + (rests && `; ${rests}`) + ".";
}

// What a screen reader calls one token: with what is saved there, and the attention that it gets.
export function tokenWords({ vocabulary, tokens }, saved, i, attention) {
  return `position ${i}, token ${vocabulary[tokens[i]]}`
    + (saved === null ? "" : `, ${savedWords(saved)}`)
    + (attention ? `, gets ${decimal(attention)} of the attention` : "");
}

export const HINT = "Point at a token, or use the arrow keys; a click or Enter holds it, Esc lets "
  + "go. Green: where the heads looked, from the token before, which has green dots. Grey dots: "
  + "where that token stood earlier; a copy of what followed it there is right, or wrong.";
