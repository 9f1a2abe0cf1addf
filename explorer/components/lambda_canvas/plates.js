// Small canvases that hold one pixel a number; drawn enlarged. One plate a name, so that memory stays bounded.
import { rampIndex } from "./colour.js";

export function createPlates() {
  const plates = new Map();

  function plate(name, width, height) {
    let entry = plates.get(name);
    if (!entry || entry.canvas.width !== width || entry.canvas.height !== height) {
      const canvas = document.createElement("canvas");
      Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d"), image = context.createImageData(width, height);
      entry = { canvas, context, image, pixels: new Uint32Array(image.data.buffer), stamp: null };
      plates.set(name, entry);
    }
    return entry;
  }

  // Fills a plate from data through a ramp. stamp: what the content depends on; null fills each time.
  function fill(name, width, height, ramp, data, offset, scale, stamp) {
    const entry = plate(name, width, height);
    if (stamp !== null && entry.stamp === stamp) return entry.canvas;
    const { pixels } = entry, inks = ramp.pixels, perUnit = 1 / scale, count = width * height;
    for (let i = 0; i < count; i++) pixels[i] = inks[rampIndex(data[offset + i], perUnit)];
    entry.context.putImageData(entry.image, 0, 0);
    entry.stamp = stamp;
    return entry.canvas;
  }

  return { plate, fill, clear: () => plates.clear() };
}

// The photo in weak greys, so that weights can lie on it.
export function greyPhoto(plates, image, width, height, dark) {
  const entry = plates.plate("grey", width, height);
  if (entry.photo === image && entry.stamp === dark) return entry.canvas; // two photos may be equally long
  const { context } = entry;
  context.drawImage(image, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height), { data } = pixels;
  for (let i = 0; i < data.length; i += 4) {
    const grey = 0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2];
    data[i] = data[i + 1] = data[i + 2] = dark ? 14 + grey * 0.34 : 255 - (255 - grey) * 0.36;
  }
  context.putImageData(pixels, 0, 0);
  Object.assign(entry, { photo: image, stamp: dark });
  return entry.canvas;
}
