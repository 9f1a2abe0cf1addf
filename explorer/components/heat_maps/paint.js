// Values to pixels: hue for plus, grey for minus, more of it for more.
export function decodeValues(tile) {
  const bytes = Uint8Array.from(atob(tile.values), (letter) => letter.charCodeAt(0));
  const levels = new Int16Array(bytes.buffer), values = new Float32Array(levels.length);
  for (let i = 0; i < levels.length; i++) values[i] = levels[i] * tile.unit;
  return values;
}

// Of all values, as Python has it for the figure; the canvas takes a sample of its larger tensors.
export function quantile(values, share) {
  const sizes = Float32Array.from(values, Math.abs).sort();
  return sizes[Math.min(sizes.length - 1, Math.floor(share * sizes.length))];
}

// A map as a picture of its own size, transparent where it is zero. `limit` is where the colour is full.
export function mapPicture(tile, limit, plus, minus) {
  const canvas = new OffscreenCanvas(tile.width, tile.height), ctx = canvas.getContext("2d");
  const image = ctx.createImageData(tile.width, tile.height);
  tile.decoded.forEach((value, i) => {
    const colour = value < 0 ? minus : plus, size = Math.min(1, Math.abs(value) / limit);
    image.data.set([...colour, Math.round(255 * size ** 0.8)], 4 * i);
  });
  ctx.putImageData(image, 0, 0);
  return canvas;
}
