// What a stage takes from around it: the photo that it shows, and the theme of the page.
import { readPalette } from "./colour.js";
import { channels, isDark, pageColour } from "./dark.js";
import { pictureUrl } from "./picture.js";

// says: what the stage is, for those who cannot see it.
export function loadPhoto(app, photo, says) {
  const key = photo.title + photo.jpeg.length + photo.jpeg.slice(-40);
  if (key === app.photoKey) return;
  app.photoKey = key;
  app.canvas.setAttribute("aria-label", `${photo.title}: ${says}`);
  const image = new Image();
  image.src = pictureUrl(photo.jpeg);
  image.decode().then(() => {
    if (app.photoKey !== key) return;
    app.photoImage = image;
    app.kick();
  }, () => {});
}

// Returns whether the palette is a new one: of another theme, or for another trace.
export function readTheme(app, traceKey) {
  const { root } = app, background = pageColour(root), dark = isDark(root), key = `${dark}|${background}|${traceKey}|`;
  if (key === app.themeKey) return false;
  app.themeKey = key;
  root.dataset.theme = dark ? "dark" : "light";
  if (channels(background)) root.style.setProperty("--page", background);
  app.palette = readPalette(getComputedStyle(root), dark);
  app.kick();
  return true;
}
