// The mask: a square of cells, covered or not, as hexadecimal digits and as a picture.
export const GRID = 64;

export function toText(mask) {
  let text = "";
  for (let i = 0; i < mask.length; i += 4) text += (mask[i] * 8 + mask[i + 1] * 4 + mask[i + 2] * 2 + mask[i + 3]).toString(16);
  return text;
}

export function fromText(text) {
  const mask = new Uint8Array(GRID * GRID);
  for (let i = 0; i < mask.length && i / 4 < text.length; i += 4) {
    const digit = parseInt(text[i / 4], 16) || 0;
    for (let bit = 0; bit < 4; bit++) mask[i + bit] = (digit >> (3 - bit)) & 1;
  }
  return mask;
}

// Cover, or uncover, the cells within a radius of a place; both in cells.
export function stamp(mask, x, y, radius, value) {
  for (let row = Math.max(0, Math.floor(y - radius)); row <= Math.min(GRID - 1, Math.ceil(y + radius)); row++) {
    for (let column = Math.max(0, Math.floor(x - radius)); column <= Math.min(GRID - 1, Math.ceil(x + radius)); column++) {
      if ((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2 <= radius * radius) mask[row * GRID + column] = value;
    }
  }
}

export function stroke(mask, from, to, radius, value) {
  const length = Math.hypot(to.x - from.x, to.y - from.y), count = Math.max(1, Math.ceil(length / (radius / 3)));
  for (let i = 0; i <= count; i++) stamp(mask, from.x + (to.x - from.x) * i / count, from.y + (to.y - from.y) * i / count, radius, value);
}
