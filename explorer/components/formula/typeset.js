// Equations, the einsum line and the source as HTML; each index letter is an element with data-axis.
import { SYMBOLS, sym, sum, sign, equation, code, escapeHtml } from "../lambda_canvas/symbols.js";

export const axis = (letter, text = letter) => `<i data-axis="${letter}">${text}</i>`;

function term(text) {
  if (text.startsWith("∑")) return sum(text.slice(1));
  if (text.startsWith("#")) return axis(text[1]);
  if (text === "(" || text === ")") return `<span class="up">${text}</span>`;
  const [name, indices] = text.split(":");
  if (!indices) return sign(escapeHtml(text));
  const [sub, sup] = indices.split("^");
  return sym(name, { sub, ...(sup ? { sup: [SYMBOLS[name].sup, sup].filter(Boolean).join(",") } : {}) }); // λ and w have one of their own
}

export const equationHtml = ({ spoken, terms }) => equation(escapeHtml(spoken), terms.map(term).join("\u2006"));

// The scripts of an einsum: its letters light up, its commas and arrow do not.
const lettersHtml = (text) => [...text].map((c) => (/[a-z]/.test(c) ? axis(c) : escapeHtml(c))).join("");

export function einsumHtml({ subscripts, tensors, letters }) {
  if (!subscripts) return "";
  const names = tensors.map(([name], i) => code(name, letters[i])), result = names.pop();
  return `${result} = einsum("${lettersHtml(subscripts)}", ${names.join(", ")})`;
}

// What each tensor is, in words.
export const namedHtml = ({ named }) => named.map(([name, says]) => `<li>${sym(name, { sub: "" })}<span>${escapeHtml(says)}</span></li>`).join("");

function pieceHtml([text, colour, letter]) {
  const inner = letter ? axis(letter) : escapeHtml(text);
  if (!colour) return inner;
  return `<span class="${colour === "soft" ? "soft" : `t-${colour}`}">${inner}</span>`;
}

export const sourceHtml = ({ file, name, lines }) =>
  `<figure><figcaption>${escapeHtml(file)} · ${escapeHtml(name)}</figcaption><pre tabindex="0" aria-label="Source of ${escapeHtml(name)}"><code>${lines
    .map((line) => (line ? `<span class="line"><span class="number">${line[0]}</span>${line[1].map(pieceHtml).join("")}\n</span>` : `<span class="line"><span class="number">⋯</span>\n</span>`))
    .join("")}</code></pre></figure>`;
