// The steps' pictograms, 28 × 28, in the colours of their tensors.

const rect = (x, y, w, h, colour, opacity = 1) => `<rect x="${x}" y="${y}" width="${w}" height="${h}" fill="var(--${colour})" opacity="${opacity}"/>`;
const line = (path, colour = "ink-faint", width = 1.5) => `<path d="${path}" stroke="var(--${colour})" stroke-width="${width}"/>`;

// A small table; a digit is a cell's strength.
function table(x, y, colour, rows, size, gap = 0.8) {
  return rows.flatMap((row, i) => [...row].map((digit, j) => rect(x + j * (size + gap), y + i * (size + gap), size, size, colour, digit / 9))).join("");
}

const dots = [[6, 6, 1.5], [14, 6, 2.3], [22, 6, 1.3], [6, 14, 2.7], [14, 14, 4], [22, 14, 2], [6, 22, 1.2], [14, 22, 2.5], [22, 22, 1.5]];

const DRAWINGS = [
  rect(3, 5, 9, 8, "content") + rect(3, 15, 9, 8, "position") + line("M14 14h4") + rect(20, 8, 6, 12, "lambda"),
  rect(10, 4, 14, 14, "input", 0.3) + rect(7, 7, 14, 14, "rail") + rect(7, 7, 14, 14, "input", 0.55) + rect(4, 10, 14, 14, "rail") + rect(4, 10, 14, 14, "input", 0.85),
  line("M4 14h5M9 14l5-7.5M9 14l5 7.5M9 14h5") + rect(16, 3, 8, 6, "query") + rect(16, 11, 8, 6, "key") + rect(16, 19, 8, 6, "value"),
  [[4, 6], [8.2, 10], [12.4, 19], [16.6, 12], [20.8, 5]].map(([x, h]) => rect(x, 24 - h, 3, h, "key", 0.45 + h / 35)).join(""),
  table(3, 3, "content", ["3846", "7293", "4865", "9357"], 5, 0.7),
  table(3, 3, "line-strong", ["7777", "7777", "7777", "7777"], 5, 0.7) + table(8.7, 8.7, "position", ["59", "84"], 5, 0.7) + '<rect x="7.6" y="7.6" width="13" height="13" stroke="var(--position)" stroke-width="1.6"/>',
  rect(3, 4, 9, 9, "content") + rect(16, 4, 9, 9, "position") + line("M14 6.5v4M12 8.5h4", "ink", 1.4) + rect(9.5, 16, 9, 9, "lambda"),
  table(3, 3, "lambda", ["58", "93", "46"], 6) + table(19.5, 3, "query", ["8", "5", "9"], 6) + rect(3, 23, 12.8, 3, "output"),
  dots.map(([x, y, r]) => `<circle cx="${x}" cy="${y}" r="${r}" fill="var(--lambda)"/>`).join(""),
];

export const glyph = (step) => `<svg class="glyph" viewBox="0 0 28 28" fill="none" aria-hidden="true">${DRAWINGS[step]}</svg>`;
export const playIcon = '<svg width="12" height="12" viewBox="0 0 14 14" fill="currentColor" aria-hidden="true"><path d="M3 1.5v11l9-5.5z"/></svg>';
