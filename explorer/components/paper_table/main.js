// A table whose numbers are buttons.
import { escapeHtml } from "../lambda_canvas/symbols.js";
import { followTheme } from "../lambda_canvas/dark.js";
import { mountOnce } from "../lambda_canvas/mount.js";

// The network is drawn at the top of the page.
const toTheBench = () => document.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });

const TABLE_KEY = "paperTableApp", MARKS = { match: "✓", erratum: "erratum", open: "close", differs: "differs", unprinted: "not printed" };

export default function paperTable({ data, parentElement, setTriggerValue }) {
  return mountOnce(parentElement, TABLE_KEY, createTable, data, setTriggerValue);
}

function createTable(parent) {
  const root = document.createElement("div"), app = { send: () => {} };
  root.className = "paper-table";
  root.dataset.testid = "paper-table";
  parent.appendChild(root);

  app.update = (data, send) => {
    app.send = send;
    const html = tableHtml(data);
    if (html === app.html) return;
    const held = root.getRootNode().activeElement?.id;
    root.innerHTML = app.html = html;
    if (held) root.querySelector(`#${CSS.escape(held)}`)?.focus({ preventScroll: true });
  };

  function cellHtml(row, cell, formula, open, place) {
    if (!formula) return `<td class="soft">${escapeHtml(cell.published)}</td>`;
    if (!cell.here) return `<td>${escapeHtml(cell.published)}</td><td class="soft">–</td><td class="mark"></td>`;
    const chosen = open && open[0] === row.row && open[1] === cell.metric;
    const number = (text) => `<button id="n${place}" data-open="${escapeHtml(row.row)}" data-metric="${cell.metric}" aria-expanded="${chosen}" title="How it comes about">${escapeHtml(text)}</button>`;
    const printed = cell.verdict !== "unprinted"; // what is not printed opens by the number here
    return `<td>${printed ? number(cell.published) : escapeHtml(cell.published)}</td><td class="here">${printed ? escapeHtml(cell.here) : number(cell.here)}</td><td class="mark ${cell.verdict}">${MARKS[cell.verdict] ?? ""}</td>`;
  }

  function tableHtml({ title, columns, rows, open }) {
    const heads = columns.map(([, label, formula]) => (formula ? `<th scope="col">${escapeHtml(label)}</th><th scope="col">here</th><th></th>` : `<th scope="col">${escapeHtml(label)}</th>`));
    const body = rows.map((row, i) => `<tr${open?.[0] === row.row ? ' class="open"' : ""}><th scope="row">${row.preset ? `<button id="l${i}" data-load="${escapeHtml(row.row)}" title="Put it on the bench">${escapeHtml(row.row)}</button>` : escapeHtml(row.row)}</th>${columns.map(([metric, , formula], j) => cellHtml(row, row.cells.find((cell) => cell.metric === metric) ?? { published: "–" }, formula, open, `${i}-${j}`)).join("")}</tr>`);
    return `<p>${escapeHtml(title)}</p><div class="scroll"><table><thead><tr><th></th>${heads.join("")}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
  }

  root.addEventListener("click", ({ target }) => {
    if (target.dataset.open) app.send("open", { row: target.dataset.open, metric: target.dataset.metric });
    else if (target.dataset.load) {
      app.send("load", { row: target.dataset.load });
      toTheBench();
    }
  });
  const leaveTheme = followTheme(root);
  app.destroy = () => { leaveTheme(); root.remove(); };
  return app;
}
