// A tensor as a box: its last two axes are the sides, those before them go into depth, axes of length one are a letter only.
import { SYMBOLS, sym } from "../lambda_canvas/symbols.js";

const USUAL = { b: 1, h: 4, k: 16, v: 32, u: 1, n: 256, m: 256 }; // to draw with, where no layer gives sizes
const side = (size) => Math.round(12 + 7 * Math.log2(size)), depth = (size) => Math.round(3.5 * Math.log2(size));

export function boxHtml([name, axes], sizes) {
  const long = [...axes].filter((letter) => (sizes ?? USUAL)[letter] > 1), size = (letter) => (sizes ?? USUAL)[letter] ?? 1;
  const across = long.at(-1), down = long.at(-2), deep = long.slice(0, -2).reverse();
  const w = across ? side(size(across)) : 12, h = down ? side(size(down)) : 12, back = deep.reduce((sum, letter) => sum + depth(size(letter)), 0);
  const x = 14, y = 4 + back, width = x + w + back + 6, height = y + h + 16;
  const edge = (letter, path) => `<path class="edge" data-axis="${letter}" d="${path}"/>`;
  const label = (letter, at, top, anchor) => `<text data-axis="${letter}" x="${at}" y="${top}" text-anchor="${anchor}">${letter}</text>`;
  let out = "", from = 0;
  for (const letter of deep) {
    const to = from + depth(size(letter));
    out += edge(letter, `M${x + from} ${y - from}L${x + to} ${y - to}`);
    out += label(letter, x + (from + to) / 2 - 4, y - (from + to) / 2 - 1, "end");
    from = to;
  }
  const top = back ? `<path class="face top" d="M${x} ${y}l${back} ${-back}h${w}l${-back} ${back}z"/><path class="face end" d="M${x + w} ${y}l${back} ${-back}v${h}l${-back} ${back}z"/>` : "";
  const sides = (across ? edge(across, `M${x} ${y + h}h${w}`) + label(across, x + w / 2, y + h + 13, "middle") : "") + (down ? edge(down, `M${x} ${y}v${h}`) + label(down, x - 5, y + h / 2 + 4, "end") : "");
  const shape = [...axes].map((letter) => `<span class="axis" data-axis="${letter}"><i>${letter}</i>${sizes ? `\u2009${sizes[letter].toLocaleString("en-US")}` : ""}</span>`).join("");
  const { base, sup, sub } = SYMBOLS[name];
  return `<div class="tensor h-${SYMBOLS[name].tensor}" role="img" aria-label="${base}${sup ?? ""}: ${[...axes].map((letter) => `${letter}${sizes ? ` ${sizes[letter]}` : ""}`).join(", ")}"><svg width="${width}" height="${height}" aria-hidden="true">${top}<rect class="face" x="${x}" y="${y}" width="${w}" height="${h}"/>${out}${sides}</svg><p>${sym(name, { sub: "" })}<span class="shape">${shape}</span></p></div>`;
}
