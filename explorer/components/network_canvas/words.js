// Numbers and formulas as people read them.
import { escapeHtml } from "../lambda_canvas/symbols.js";

const UNITS = { flops: [[1e9, "B", 2], [1e6, "M", 1]], params: [[1e6, "M", 2], [1e3, "k", 1]], memory: [[2 ** 30, "GiB", 2], [2 ** 20, "MiB", 1], [2 ** 10, "KiB", 0]] };

export function amount(value, metric) {
  for (const [size, unit, digits] of UNITS[metric]) if (value >= size) return `${(value / size).toFixed(value >= 100 * size ? Math.max(0, digits - 1) : digits)} ${unit}`;
  return `${value.toLocaleString("en-US")}${metric === "memory" ? " bytes" : ""}`;
}

// What the other network has, where it reads otherwise.
export function against(now, other, metric) {
  const said = amount(other, metric);
  return said === amount(now, metric) ? "" : `<span class="then">${said}</span>`;
}

export const ratio = (now, then) => (then ? `× ${(now / then).toFixed(now / then < 0.0995 ? 3 : 2)}` : "");

// A formula with its letters in their hues: 2·n·m·k·v·u.
export const formulaHtml = (text, hues) =>
  escapeHtml(text).replace(/[A-Za-z]+/g, (word) => (hues[word] ? `<i style="color:var(--${hues[word]}-text, var(--${hues[word]}))">${word}</i>` : word));

export const numbersHtml = (text) => escapeHtml(text).replace(/(\d)(?=(\d{3})+(?!\d))/g, "$1,");
