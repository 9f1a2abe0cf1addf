// Values to pixels: hue for plus, grey for minus, more of it for more; and the photograph gone pale below.
export function decodeValues(tile) {
  const bytes = Uint8Array.from(atob(tile.values), (letter) => letter.charCodeAt(0));
  const levels = new Int16Array(bytes.buffer), values = new Float32Array(levels.length);
  for (let i = 0; i < levels.length; i++) values[i] = levels[i] * tile.unit;
  return values;
}

export function quantile(values, share) {
  const sizes = Float32Array.from(values, Math.abs).sort();
  return sizes[Math.min(sizes.length - 1, Math.floor(share * sizes.length))];
}

export function rgb(text) {
  const hex = text.trim().replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
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

// Grey, with little contrast, light on a light page and dark on a dark one: what lies on it must be seen.
export function palePhoto(image, side, dark) {
  const canvas = new OffscreenCanvas(side, side), ctx = canvas.getContext("2d", { willReadFrequently: true });
  ctx.drawImage(image, 0, 0, side, side);
  const pixels = ctx.getImageData(0, 0, side, side), data = pixels.data;
  for (let i = 0; i < data.length; i += 4) {
    const grey = 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
    const shade = dark ? 18 + 0.34 * grey : 255 - 0.36 * (255 - grey);
    data[i] = data[i + 1] = data[i + 2] = shade;
  }
  ctx.putImageData(pixels, 0, 0);
  return canvas;
}
