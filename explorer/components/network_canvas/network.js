// The picture: a skyline of blocks over their letters, stage by stage, and below it what the pointer is on.
import { followTheme } from "../lambda_canvas/dark.js";
import { escapeHtml } from "../lambda_canvas/symbols.js";
import { amount, ratio, formulaHtml, numbersHtml, against } from "./words.js";

const NARROW = 21; // px a block, below which stages go below each other

export function createNetwork(parent) {
  const root = document.createElement("div");
  root.className = "network";
  root.dataset.testid = "network";
  root.innerHTML = `
    <div class="brushes"><span class="ask" id="brush-ask">Click a block to make it</span><div class="letters" role="radiogroup" aria-labelledby="brush-ask"></div><span class="brush-name" aria-live="polite"></span></div>
    <div class="totals"></div>
    <div class="net" role="group" aria-label="The network, block by block"></div>
    <div class="what"></div>`;
  parent.appendChild(root);
  const find = (selector) => root.querySelector(selector), net = find(".net");
  const app = { root, data: null, letters: [], brush: "L", metric: "flops", sent: 0, session: null, on: null, at: null, painting: null, send: () => {} };

  app.update = (data, send) => {
    app.send = send;
    if (!data || !data.stages) return;
    if (data.session !== app.session) { app.session = data.session; app.sent = 0; } // the server has forgotten the edits
    if (data.answered < app.sent) return; // an answer to an edit that was overtaken
    app.sent = Math.max(app.sent, data.answered);
    app.data = data;
    app.letters = data.stages.map((stage) => stage.letters);
    root.dataset.waiting = "";
    drawBrushes();
    drawAll();
  };

  // ---- drawing
  const kind = (stage, block) => app.data.kinds[app.data.stages[stage].blocks[block]];
  const family = (letter) => app.data.letters.find(([name]) => name === letter)?.[1] ?? "plain";
  const says = (letter) => app.data.letters.find(([name]) => name === letter)?.[2] ?? "";

  function drawBrushes() {
    find(".brushes").hidden = app.data.fixed;
    if (!find(".letters").childElementCount)
      find(".letters").innerHTML = app.data.letters.map(([letter, of, text]) => `<button role="radio" class="tile ${of}" data-brush="${letter}" title="${escapeHtml(text)}" aria-label="${letter}: ${escapeHtml(text)}">${letter}</button>`).join("");
    for (const button of find(".letters").children) {
      button.setAttribute("aria-checked", button.dataset.brush === app.brush);
      button.tabIndex = button.dataset.brush === app.brush ? 0 : -1;
    }
    find(".brush-name").textContent = says(app.brush);
  }

  function totalsHtml() {
    const { total, reference, metrics, same } = app.data;
    const cells = Object.entries(metrics).map(([metric, name]) => {
      const most = Math.max(total[metric], reference[metric], 1);
      return `<button data-metric="${metric}" aria-pressed="${metric === app.metric}"><span class="name">${escapeHtml(name)}</span><b data-total="${metric}" data-value="${total[metric]}">${amount(total[metric], metric)}</b><span class="ratio">${same ? "" : ratio(total[metric], reference[metric])}</span><span class="pair"><i style="width:${100 * total[metric] / most}%"></i><i class="then" style="width:${100 * reference[metric] / most}%"></i></span></button>`;
    });
    return cells.join("") + `<p><span class="now">${escapeHtml(app.data.title)}</span><span class="then">lines: ${escapeHtml(app.data.other)}</span></p>`;
  }

  function blockHtml(s, b, most) {
    const stage = app.data.stages[s], letter = app.letters[s][b], mine = kind(s, b)[app.metric], theirs = stage.theirs[b]?.[app.metric];
    const then = !app.data.same && theirs !== undefined ? `<u style="height:${100 * theirs / most}%"></u>` : "";
    return `<button class="block" data-stage="${s}" data-block="${b}" tabindex="-1" aria-label="Stage ${escapeHtml(stage.name)}, block ${b + 1}: ${letter}, ${escapeHtml(says(letter))}, ${amount(mine, app.metric)}"><span class="sky"><s style="height:${100 * mine / most}%" class="${family(letter)}"></s>${then}</span><span class="tile ${family(letter)}">${letter}</span></button>`;
  }

  function stageHtml(stage, s, most) {
    const { metric } = app, beside = stage.beside ? against(stage.sum[metric], stage.beside[metric], metric) : "";
    const glyph = Math.max(7, Math.round(3.6 * Math.sqrt(stage.side))), deep = Math.max(3, Math.round(stage.out / 96));
    return `<section class="stage" style="--blocks:${stage.letters.length}" data-testid="stage-${escapeHtml(stage.name)}"><header><svg class="map" width="${glyph + deep}" height="${glyph + deep}" aria-hidden="true"><path d="M0 ${deep}l${deep}-${deep}h${glyph}v${glyph}l-${deep} ${deep}z"/><path class="face" d="M.5 ${deep + 0.5}h${glyph - 1}v${glyph - 1}h-${glyph - 1}z"/></svg><span><b>${escapeHtml(stage.name)}</b><small>${stage.side} × ${stage.side}</small><small>${stage.width} → ${stage.out}</small></span>${app.data.fixed ? "" : `<button class="whole" data-whole="${s}" title="The whole stage: ${app.brush}" aria-label="Make all of ${escapeHtml(stage.name)} ${app.brush}">all</button>`}</header><div class="row">${[...stage.letters].map((_, b) => blockHtml(s, b, most)).join("")}</div><footer><b>${amount(stage.sum[metric], metric)}</b>${beside}</footer></section>`;
  }

  function endHtml(name, part, title, lines) {
    const { metric } = app, beside = against(part[metric], part.beside[metric], metric);
    return `<section class="end" data-end="${name}" tabindex="-1"><header><span><b>${title}</b>${lines.map((line) => `<small>${escapeHtml(line)}</small>`).join("")}</span></header><footer><b>${amount(part[metric], metric)}</b>${beside}</footer></section>`;
  }

  function drawAll() {
    if (!app.data) return;
    const held = root.getRootNode().activeElement?.dataset.block !== undefined;
    const all = app.data.stages.flatMap((stage, s) => stage.blocks.map((_, b) => [kind(s, b)[app.metric], app.data.same ? 0 : stage.theirs[b]?.[app.metric] ?? 0]));
    const most = Math.max(1, ...all.flat());
    find(".totals").innerHTML = totalsHtml();
    const { size } = app.data, last = app.data.stages.at(-1);
    net.innerHTML = endHtml("stem", app.data.stem, "Stem", [`${size} × ${size}`, "photo in"]) + app.data.stages.map((stage, s) => stageHtml(stage, s, most)).join("") + endHtml("head", app.data.head, "Classifier", [`${last.out} in`, "scores out"]);
    fit();
    const at = app.at && blockAt(...app.at) ? app.at : [0, 0];
    app.at = at;
    if (app.on && !app.on.end && !blockAt(app.on.stage, app.on.block)) app.on = null;
    blockAt(...at).tabIndex = 0;
    if (held) blockAt(...at).focus({ preventScroll: true });
    drawWhat();
  }

  function fit() {
    if (!app.data) return;
    const count = app.data.stages.reduce((sum, stage) => sum + stage.letters.length, 0);
    root.dataset.size = (root.clientWidth - 230) / (count + app.data.stages.length) < NARROW || root.clientWidth < 760 ? "stacked" : "wide";
    net.style.gridTemplateColumns = root.dataset.size === "wide" ? `auto ${app.data.stages.map((stage) => `minmax(134px, ${stage.letters.length}fr)`).join(" ")} auto` : "";
  }

  // What a block, or the stem, or the classifier costs: its sum, and its largest terms.
  function drawWhat() {
    const on = app.on ?? (app.at && { stage: app.at[0], block: app.at[1] });
    if (!on || !app.data) return;
    const ends = { stem: ["The stem", app.data.stem], head: ["The classifier", app.data.head] };
    const part = on.end ? ends[on.end][1] : kind(on.stage, on.block), stage = app.data.stages[on.stage], { metric } = app;
    const name = on.end ? ends[on.end][0] : `${stage.name}, block ${on.block + 1} of ${stage.letters.length}: ${says(part.letter)}`;
    const terms = part.terms[metric], sum = terms.reduce((value, term) => value + term[3], 0), rest = part[metric] - sum;
    const lines = terms.map(([where, formula, numbers, value]) => `<tr><th scope="row">${escapeHtml(where)}</th><td class="f">${formulaHtml(formula, app.data.hues)}</td><td class="f numbers">${numbersHtml(numbers)}</td><td>${value.toLocaleString("en-US")}</td></tr>`);
    if (rest > 0) lines.push(`<tr><th scope="row">all else</th><td></td><td></td><td>${rest.toLocaleString("en-US")}</td></tr>`);
    const facts = Object.keys(app.data.metrics).map((other) => `<span${other === metric ? ' class="chosen"' : ""}>${escapeHtml(app.data.metrics[other])} <b data-fact="${other}" data-value="${part[other]}">${amount(part[other], other)}</b></span>`).join("");
    find(".what").innerHTML = `<h3>${escapeHtml(name)}</h3><p class="facts">${facts}</p><table data-testid="terms"><tbody>${lines.join("")}</tbody></table>`;
  }

  // ---- changes
  const blockAt = (s, b) => net.querySelector(`[data-stage="${s}"][data-block="${b}"]`);

  function set(s, b, letter) {
    if (app.data.fixed || app.letters[s][b] === letter) return;
    app.letters[s] = app.letters[s].slice(0, b) + letter + app.letters[s].slice(b + 1);
    const block = blockAt(s, b), tile = block.querySelector(".tile");
    tile.textContent = letter;
    tile.className = `tile ${family(letter)}`;
    block.querySelector("s").className = family(letter);
    root.dataset.waiting = "yes";
  }

  function commit() {
    if (app.letters.join() === app.data.stages.map((stage) => stage.letters).join() && app.sent === app.data.answered) return;
    app.sent += 1;
    app.send("edit", { number: app.sent, stages: app.letters });
  }

  // A click always does something: on a block that has the brush's letter it puts back the convolution, or a lambda.
  const other = (s, b) => (app.letters[s][b] !== app.brush ? app.brush : app.brush === "C" ? "L" : "C");
  const whole = (s, letter) => { [...app.letters[s]].forEach((_, b) => set(s, b, letter)); commit(); };

  function show(target) {
    const block = target.closest?.(".block"), end = target.closest?.("[data-end]");
    const on = block ? { stage: +block.dataset.stage, block: +block.dataset.block } : end ? { end: end.dataset.end } : null;
    if (!on || JSON.stringify(on) === JSON.stringify(app.on)) return;
    app.on = on;
    for (const marked of net.querySelectorAll(".on")) marked.classList.remove("on");
    (block ?? end).classList.add("on");
    drawWhat();
  }

  // The block that has, or had, the focus is the one that the tab key comes back to.
  function focused({ target }) {
    const block = target.closest(".block");
    if (block) {
      blockAt(...app.at).tabIndex = -1;
      app.at = [+block.dataset.stage, +block.dataset.block];
      block.tabIndex = 0;
    }
    show(target);
  }

  const shortcuts = {
    ArrowRight: ([s, b]) => (b + 1 < app.letters[s].length ? [s, b + 1] : s + 1 < app.letters.length ? [s + 1, 0] : null),
    ArrowLeft: ([s, b]) => (b ? [s, b - 1] : s ? [s - 1, app.letters[s - 1].length - 1] : null),
    ArrowDown: ([s]) => (s + 1 < app.letters.length ? [s + 1, 0] : null),
    ArrowUp: ([s]) => (s ? [s - 1, 0] : null),
    Home: () => [0, 0],
    End: () => [app.letters.length - 1, app.letters.at(-1).length - 1],
  };

  net.addEventListener("pointerdown", (event) => {
    const block = event.target.closest(".block");
    app.pointer = event.pointerType;
    if (!block || event.button || event.ctrlKey || app.data.fixed) return;
    const at = [+block.dataset.stage, +block.dataset.block], letter = other(...at);
    app.at = at;
    if (event.shiftKey) { app.painting = null; whole(at[0], letter); event.preventDefault(); return; }
    if (event.pointerType === "mouse") { app.painting = letter; set(...at, letter); }
  });
  net.addEventListener("pointermove", (event) => {
    if (app.painting && !(event.buttons & 1)) return lift(); // let go of where nobody heard it, as in a menu
    const under = event.target.closest(".block, [data-end]");
    if (!under) return;
    show(under);
    if (app.painting && under.dataset.block !== undefined) set(+under.dataset.stage, +under.dataset.block, app.painting);
  });
  const lift = () => { if (app.painting) { app.painting = null; commit(); } };
  for (const type of ["pointerup", "pointercancel"]) addEventListener(type, lift);
  net.addEventListener("click", (event) => {
    const button = event.target.closest("[data-whole]"), block = event.target.closest(".block");
    if (button) whole(+button.dataset.whole, app.brush);
    else if (block && !app.data.fixed && (app.pointer !== "mouse" || !event.detail) && !event.shiftKey) { // touch and keys
      const at = [+block.dataset.stage, +block.dataset.block];
      app.at = at;
      set(...at, other(...at));
      commit();
    }
  });
  net.addEventListener("focusin", focused);
  net.addEventListener("keydown", (event) => {
    const block = event.target.closest(".block");
    if (!block || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = [+block.dataset.stage, +block.dataset.block], to = shortcuts[event.key]?.(at), letter = event.key.toUpperCase();
    if (to) blockAt(...to).focus();
    else if (!app.data.fixed && event.key.length === 1 && app.data.letters.some(([name]) => name === letter)) {
      if (event.shiftKey) whole(at[0], letter);
      else { set(...at, letter); commit(); }
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  find(".totals").addEventListener("click", (event) => {
    const button = event.target.closest("[data-metric]");
    if (!button) return;
    app.metric = button.dataset.metric;
    drawAll();
    find(`[data-metric="${app.metric}"]`).focus({ preventScroll: true });
  });
  const brush = (letter) => { app.brush = letter; drawBrushes(); drawAll(); };
  find(".letters").addEventListener("click", (event) => event.target.dataset.brush && brush(event.target.dataset.brush));
  find(".letters").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key], names = app.data.letters.map(([name]) => name);
    if (!step) return;
    event.preventDefault();
    brush(names[(names.indexOf(app.brush) + step + names.length) % names.length]);
    find(`[data-brush="${app.brush}"]`).focus();
  });

  // ---- theme and width
  const watch = new ResizeObserver(fit), leaveTheme = followTheme(root);
  watch.observe(root);
  app.destroy = () => { watch.disconnect(); leaveTheme(); for (const type of ["pointerup", "pointercancel"]) removeEventListener(type, lift); root.remove(); };
  root.networkCanvas = app;
  return app;
}
