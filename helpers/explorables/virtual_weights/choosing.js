// Which link is meant, by its place in a model's list; -1 where there is none. Needs no page.

import { indexOfLargest } from "../shared/numbers.js";
import { headOf, kindOf, readsAs } from "./links.js";

export const placeOf = ({ links }, writer, reader) =>
  links.findIndex((link) => link.writer === writer && link.reader === reader);

function strongest({ links }, test) {
  const places = [...links.keys()].filter((place) => test(links[place]));
  return places[indexOfLargest(places, (place) => links[place].z)] ?? -1;
}

// Does a link of this kind, or of none, end in a node?
export const isLinked = ({ links }, { side, end }, kind) => links.some((link) => (side === "writer"
  ? link.writer === end.name : headOf(link.reader) === end.name && readsAs(link, kind)));

// From a link to a node that is pointed at, and perhaps to a port of it: the link between that node
// and the other end, or the strongest one that the node has.
export function linkTo(told, { writer, reader }, { side, end }, kind, port) {
  const { name } = end, read = name === "unembed" ? name : `${name}.${port ?? kind}`;
  const isWriter = side === "writer";
  const joined = isWriter ? placeOf(told, name, reader) : placeOf(told, writer, read);
  if (joined >= 0) return joined;
  return strongest(told, (link) =>
    (isWriter ? link.writer === name && readsAs(link, kind) : link.reader === read));
}

// The same link read as another kind; or else the strongest of that kind from its writer, or of
// all.
export function linkAs(told, { writer, reader }, kind) {
  const isKind = (link) => kindOf(link.reader) === kind;
  return [
    placeOf(told, writer, `${headOf(reader)}.${kind}`),
    strongest(told, (link) => link.writer === writer && isKind(link)),
    strongest(told, isKind),
  ].find((place) => place >= 0);
}
