// The colour of the page, as Streamlit hands it to what stands on it, and whether it is dark.

const WEIGHTS = [0.2126, 0.7152, 0.0722], MIDDLE = 124; // of red, green and blue in brightness; of 0 to 255

export const pageColour = (element) => getComputedStyle(element).getPropertyValue("--st-background-color").trim();

// Red, green and blue of a CSS colour such as #rrggbb, #rgb or rgb(1, 2, 3); null where it cannot be read.
export function channels(css) {
  let found = null;
  if (/^#[0-9a-f]{6}/i.test(css)) found = [1, 3, 5].map((i) => parseInt(css.slice(i, i + 2), 16));
  else if (/^#[0-9a-f]{3,4}$/i.test(css)) found = [1, 2, 3].map((i) => parseInt(css[i] + css[i], 16));
  else if (/^rgba?\(/.test(css)) found = (css.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
  return found?.length === 3 && !found.some(Number.isNaN) ? found : null;
}

export function isDark(element) {
  const rgb = channels(pageColour(element));
  return !!rgb && rgb.reduce((sum, value, i) => sum + WEIGHTS[i] * value, 0) < MIDDLE;
}

// Keeps `data-theme` of an element at that of the page, which does not tell when it changes; `changed` is called when it
// does. Returns what ends it.
export function followTheme(root, changed = () => {}) {
  const look = () => {
    const name = isDark(root) ? "dark" : "light";
    if (root.dataset.theme === name) return;
    root.dataset.theme = name;
    changed();
  };
  look();
  const clock = setInterval(look, 500);
  return () => clearInterval(clock);
}
