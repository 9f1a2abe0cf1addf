// Keys that several canvases share, and whose they are.

export const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }; // rows, columns

// Elements that use every key, and those that use only space and Enter.
const TYPING = 'input:not([type="checkbox"], [type="button"]), textarea, select, [contenteditable="true"], [contenteditable=""], [role="slider"], [role="listbox"], [role="option"], [role="combobox"], [role="tab"], [role="radio"], [role="menu"], [role="menuitem"], [role="grid"], [role="dialog"], [data-testid="stSlider"]';
const PRESSABLE = 'button, a[href], summary, input[type="checkbox"], [role="button"], [role="checkbox"], [role="switch"]';

// Whether a key press is for the canvas in `root`: it is in sight, and nothing else on the page wants the key. Out of
// sight, keys scroll the page.
export function isFor(event, root, canvas) {
  const { top, bottom } = canvas.getBoundingClientRect();
  return bottom >= 80 && top <= innerHeight && isPlain(event) && !isTaken(event, root);
}

// Whether it belongs to something else on the page than what is in `root`.
function isTaken(event, root) {
  const presses = event.key === " " || event.key === "Enter";
  for (const element of event.composedPath()) {
    if (element === root) return false;
    if (element.matches && (element.matches(TYPING) || (presses && element.matches(PRESSABLE)))) return true;
  }
  return false;
}

// Whether nobody else has dealt with it, and it is no shortcut of browser or system.
const isPlain = (event) => !(event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey);
