// What Python stored of an explorable, as the page takes it: `pack` in states.py writes it.

import { withBuffers } from "../../explorables/shared/model.js";

// A line of JSON, then all bytes; compressed, and as text.
export async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const all = new Uint8Array(await new Response(stream).arrayBuffer());
  const end = all.indexOf(10), head = new TextDecoder().decode(all.subarray(0, end));
  const { state, paths, opening, sizes } = JSON.parse(head);
  let at = end + 1;
  const buffers = sizes.map((size) => new DataView(all.buffer.slice(at, at += size)));
  const take = (count) => buffers.splice(0, count);
  return {
    state: withBuffers(state, paths, take(paths.length)),
    opening: opening.map(({ content, count }) => ({ content, buffers: take(count) })),
  };
}
