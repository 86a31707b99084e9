// Shares from 0 to 1 as colours that are read in the same order with any kind of sight, and in
// grey. Needs no page.

const ANCHORS = [
  "00224e", "123570", "3b496c", "575d6d", "707173",
  "8a8678", "a59c74", "c3b369", "e1cc55", "fee838",
].map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)));

// 256 shades [red, green, blue], evenly between the anchors.
export const SHADES = Array.from({ length: 256 }, (_, value) => {
  const place = (value / 255) * (ANCHORS.length - 1);
  const low = Math.min(Math.floor(place), ANCHORS.length - 2);
  return ANCHORS[low].map((part, i) =>
    Math.round(part + (ANCHORS[low + 1][i] - part) * (place - low)));
});

export const shadeOf = (share) => SHADES[Math.round(255 * share)];
export const css = (colour) => `rgb(${colour})`;

// How light a colour is to the eye, from 0 to 255: words on it are light or dark accordingly.
export const lightness = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue;
