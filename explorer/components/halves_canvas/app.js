// One component on the page: its state, what changes it, and the frames that show it.
import { readHeader, readTensors } from "../lambda_canvas/trace.js";
import { buildModel } from "../lambda_canvas/model.js";
import { loadPhoto, readTheme } from "../lambda_canvas/setting.js";
import { createPlates } from "../lambda_canvas/plates.js";
import { drawTip } from "../lambda_canvas/lettering.js";
import { checkHtml } from "../lambda_canvas/panels.js";
import { axisRuns } from "../lambda_canvas/axis_marks.js";
import { createHalves, createHalvesCheck } from "./halves.js";
import { layoutHalves, hitHalves, nearestPosition, WIDE } from "./layout.js";
import { drawHalves, tipText } from "./draw.js";
import { litAxes } from "./axes.js";
import { buildTasks } from "./tasks.js";
import { BLEED } from "./events.js";
import { halvesHtml, headlineOf, kickHtml, aboutHtml, formulaHtml, sharesHtml, choices, scalesHtml } from "./words.js";

const ROOM_BELOW = 380, LATENCIES = 600;
const within = (x, size) => Math.max(0, Math.min(size - 1, Number.isInteger(x) ? x : 0));

export function createApp(parent) {
  const root = document.createElement("div");
  root.className = "lambda-canvas halves-canvas";
  root.dataset.testid = "halves-canvas";
  root.innerHTML = halvesHtml;
  parent.appendChild(root);
  const find = (selector) => root.querySelector(selector), canvas = find("canvas"), written = new Map();
  const app = {
    root, canvas, ctx: canvas.getContext("2d"), bleed: BLEED, plates: createPlates(), model: null, live: null, palette: null, photoImage: null,
    state: { head: 0, scale: "own", hover: null, dragging: false }, photoKey: "", themeKey: "", axis: "", width: 0, dpr: 1, latencies: [], doneTasks: new Set(), tasks: [],
  };
  const { state } = app;
  let send = () => {}, traceKey = "", version = null, frame = 0, pending = null, keyTimer = 0, checkTimer = 0, dead = false;

  // ---- data
  app.update = (bytes, setStateValue) => {
    send = setStateValue;
    if (!bytes || !bytes.byteLength) return;
    const { header, start } = readHeader(bytes), fresh = header.trace !== traceKey, { selection } = header;
    if (fresh) {
      traceKey = header.trace;
      app.plates.clear();
      const tensors = readTensors(bytes, header, start);
      app.model = buildModel(header.layer, tensors);
      app.live = createHalves(app.model, tensors);
      app.tasks = buildTasks(app.model, app.live.share).map((task) => ({ ...task, done: app.doneTasks.has(task.id) }));
      state.hover = null;
      startCheck(tensors);
    }
    loadPhoto(app, header.photo, "photo, and both halves of a lambda layer. Arrow keys move the pixel.");
    const moved = selection.version !== version;
    if (fresh || moved) {
      version = selection.version;
      state.head = within(selection.head, app.model.heads);
      app.live.move(within(selection.row, app.model.H) * app.model.W + within(selection.column, app.model.W));
      app.live.hold();
    }
    if (readTheme(app, traceKey)) write(".legends", scalesHtml(app));
    if (!fresh && !moved) return;
    renderAll();
    app.relayout();
  };

  function startCheck(tensors) {
    clearTimeout(checkTimer);
    const check = (app.check = createHalvesCheck(app.model, tensors));
    const slice = () => {
      if (dead || app.check !== check) return;
      if (!check.run(8)) checkTimer = setTimeout(slice, 12);
      else write(".check", checkHtml(check.result));
    };
    checkTimer = setTimeout(slice, 300);
  }

  // ---- what stands around the stage
  function write(selector, html) {
    if (written.get(selector) === html) return;
    written.set(selector, html);
    find(selector).innerHTML = html;
  }
  const say = (text) => (find(":scope > .spoken").textContent = text);
  const renderSide = () => write(".side", sharesHtml(app));
  const renderText = () => write(".text", aboutHtml(app.model, app.tasks));
  function renderChoices() {
    const { head, scale } = choices(app);
    find('[data-choice="head"]').hidden = !head;
    write('[data-choice="head"]', head);
    write('[data-choice="scale"]', scale);
    write(".legends", scalesHtml(app));
  }
  function renderAll() {
    write(".kick", kickHtml(app.model.layer));
    write("h2", headlineOf(app.model));
    write(".math", formulaHtml(app.model));
    write(".check", checkHtml(app.check.result));
    renderText();
    renderSide();
    renderChoices();
  }

  // ---- layout and frames
  app.relayout = () => {
    const full = root.clientWidth;
    if (!app.model || !full) return;
    root.dataset.size = full < WIDE ? "slim" : "row";
    app.width = Math.floor(find(".stage").clientWidth);
    app.layout = layoutHalves(app.width, app.model, Math.max(420, innerHeight - ROOM_BELOW));
    app.dpr = Math.max(1, devicePixelRatio || 1);
    const w = Math.round((app.width + 2 * BLEED) * app.dpr), h = Math.round(app.layout.height * app.dpr);
    if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
    canvas.style.height = `${app.layout.height}px`;
    app.kick();
  };

  app.kick = () => {
    if (!frame && !dead) frame = requestAnimationFrame(onFrame);
  };

  function onFrame() {
    frame = 0;
    if (!app.model || !app.palette || !app.layout) return;
    const begin = performance.now(), event = pending;
    pending = null;
    if (event) pointAt(event.x, event.y);
    drawHalves(app);
    const tip = state.hover ? tipText(app) : "";
    if (tip) drawTip(app.ctx, app.palette, tip, state.hover.x, state.hover.y, app.width);
    if (!event) return;
    const done = performance.now();
    app.latencies.push({ work: done - begin, total: done - event.time });
    if (app.latencies.length > LATENCIES) app.latencies.shift();
  }

  // ---- what changes the state
  function setPixel(n) {
    const before = app.live.n;
    if (n === before) return;
    app.live.move(n);
    renderSide();
    notice({ type: "pixel", n, before });
  }

  function pointAt(x, y) {
    if (state.dragging) return setPixel(nearestPosition(app.layout, app.model, x, y));
    state.hover = hitHalves(app.layout, app.model, x, y);
    canvas.style.cursor = state.hover && state.hover.kind === "photo" ? "grab" : "default";
  }

  function notice(event) {
    const task = app.tasks.find((one) => !one.done);
    if (!task || !task.notice(event, task.memory)) return;
    task.done = true;
    app.doneTasks.add(task.id);
    renderText();
    send("tasks", [...app.doneTasks]);
  }

  function commit() {
    const { W } = app.model, { n } = app.live;
    send("selection", { row: Math.floor(n / W), column: n % W, head: state.head });
  }

  app.isPhoto = (x, y) => hitHalves(app.layout, app.model, x, y)?.kind === "photo";
  app.press = (x, y) => {
    if (!app.model || !app.isPhoto(x, y)) return false;
    app.live.hold();
    Object.assign(state, { dragging: true, hover: null });
    canvas.style.cursor = "grabbing";
    setPixel(nearestPosition(app.layout, app.model, x, y));
    renderSide();
    app.kick();
    return true;
  };
  app.pointerMove = (x, y, time) => {
    pending = { x, y, time };
    app.kick();
  };
  app.release = () => {
    if (!state.dragging) return;
    if (pending) pointAt(pending.x, pending.y);
    pending = null;
    state.dragging = false;
    canvas.style.cursor = "grab";
    renderSide();
    app.kick();
    commit();
  };
  app.pointerLeave = () => {
    if (state.dragging) return;
    pending = null;
    state.hover = null;
    app.kick();
  };
  app.moveBy = (rows, columns) => {
    const { W, H } = app.model, { n } = app.live, row = Math.max(0, Math.min(H - 1, Math.floor(n / W) + rows)), column = Math.max(0, Math.min(W - 1, (n % W) + columns));
    if (!keyTimer) app.live.hold();
    setPixel(row * W + column);
    say(`Pixel row ${row + 1}, column ${column + 1}`);
    clearTimeout(keyTimer);
    keyTimer = setTimeout(() => {
      keyTimer = 0;
      commit();
    }, 250);
    app.kick();
  };
  app.setHead = (head) => {
    const { heads } = app.model;
    state.head = (head + heads) % heads;
    say(`Head ${state.head + 1}`);
    notice({ type: "head", head: state.head });
    renderChoices();
    app.kick();
    commit();
  };
  app.setScale = (scale) => {
    state.scale = scale;
    renderChoices();
    app.kick();
  };

  // ---- hooks for tests
  const toClient = (box, rows, cols, row, col) => {
    const at = canvas.getBoundingClientRect();
    return { x: at.left + BLEED + box.x + ((col + 0.5) * box.w) / cols, y: at.top + box.y + ((row + 0.5) * box.h) / rows };
  };
  root.halvesCanvas = {
    state: () => ({ row: Math.floor(app.live.n / app.model.W), column: app.live.n % app.model.W, head: state.head, scale: state.scale, dragging: state.dragging, tasks: [...app.doneTasks] }),
    numbers: () => ({ ...app.live.halves, output: app.live.output, share: app.live.share }),
    get axis() { return app.axis; },
    axes: () => axisRuns(litAxes(app)),
    get check() { return app.check.result; },
    get latencies() { return app.latencies; },
    pixelAt: (row, column) => toClient(app.layout.photo, app.model.H, app.model.W, row, column),
    weightAt: (half, row, column) => toClient(app.layout[half].weights, app.model.H, app.model.W, row, column),
  };

  app.destroy = () => {
    dead = true;
    cancelAnimationFrame(frame);
    clearTimeout(checkTimer);
    clearTimeout(keyTimer);
    app.plates.clear();
    root.remove();
  };
  return app;
}
