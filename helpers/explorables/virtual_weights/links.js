// The links of a model: what their ends are called and how strong they are. Needs no page.

import { clamp } from "../shared/numbers.js";

export const KINDS = ["Q", "K", "V"]; // what a head reads something as
export const KIND_WORDS = { Q: "queries", K: "keys", V: "values" };
export const END_WORDS = { embed: "embedding", pos: "positions", unembed: "unembedding" };

// A reader is called 1.2.K, or unembed; a writer 0.1, embed or pos.
export const kindOf = (reader) => (reader === "unembed" ? "" : reader.slice(-1));
export const headOf = (reader) => (reader === "unembed" ? reader : reader.slice(0, -2));
export const isHead = (writer) => writer.includes(".");

// The unembedding reads as no kind, and is there for each.
export const readsAs = (link, kind) => [kind, ""].includes(kindOf(link.reader));
// Queries and keys meet in a score; what else is read ends in a logit.
export const makesScore = (link) => ["Q", "K"].includes(kindOf(link.reader));

export const isStrong = (link, told) => link.p <= told.level;
// How far a score stands between chance (0) and the ceiling (1).
export const shareOfCeiling = ({ score, mean, ceiling }) =>
  clamp((score - mean) / Math.max(ceiling - mean, 1e-9), 0, 1);

export const roleWords = ({ role, role_score }) =>
  (role ? `${role.replace("_", " ")} ${role_score.toFixed(2)}` : "");
