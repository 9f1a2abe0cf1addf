// One component on the page: its state, what changes it, and the frames that show it.
import { readHeader, readTensors } from "../lambda_canvas/trace.js";
import { buildModel, sizeQuantile } from "../lambda_canvas/model.js";
import { loadPhoto, readTheme } from "../lambda_canvas/setting.js";
import { createPlates } from "../lambda_canvas/plates.js";
import { inside } from "../lambda_canvas/marks.js";
import { axisRuns } from "../lambda_canvas/axis_marks.js";
import { windowWeights, outputsByScope, changeByScope, shareInside, largestDifference, biggest, largestScope, ownScope, nearestScope } from "./reach.js";
import { frameOf, gripAt, scopeAt, positionAt, positionsIn } from "./frame.js";
import { layoutScope } from "./layout.js";
import { drawScope, scopeOfCurve, EDGE } from "./draw.js";
import { litAxes } from "./axes.js";
import { createScopePage } from "./page.js";
import { buildScopeTasks } from "./tasks.js";

const BELOW = 470, PATIENCE = 6000;

export function createScope(parent) {
  const page = createScopePage(parent), { root, canvas } = page, still = matchMedia("(prefers-reduced-motion: reduce)");
  const state = { scope: 0, head: 0, part: "position", overlay: "layer", pinned: true, hover: -1, over: null, dragging: null };
  const app = {
    root, page, canvas, state, ctx: canvas.getContext("2d"), plates: createPlates(), model: null, palette: null, photoImage: null, photoKey: "", themeKey: "", axis: "", n: 0, own: 0, half: 0,
    facts: {}, measured: {}, done: new Set(), tasks: [], width: 0, height: 0, dpr: 1, latencies: [], weightScale: 1, check: null,
  };
  let send = () => {}, traceKey = "", version = null, frame = 0, pending = null, lastFrame = 0, waiting = null, asked = 0, commitTimer = 0, measurement = 0, dead = false;
  const cache = { weights: null, weightsKey: "", changes: null, changesOf: -1 };

  // ---- data
  app.update = (bytes, setStateValue) => {
    send = setStateValue;
    if (!bytes || !bytes.byteLength) return;
    const { header, start } = readHeader(bytes), [length, padded] = header.trace, inner = bytes.slice(start, start + length), trace = readHeader(inner);
    const fresh = trace.header.trace !== traceKey, moved = trace.header.selection.version !== version;
    if (fresh) {
      traceKey = trace.header.trace;
      app.plates.clear();
      app.model = buildModel(trace.header.layer, readTensors(inner, trace.header, trace.start));
      cache.weights = new Float32Array(app.model.heads * app.model.N);
      cache.weightsKey = "";
      cache.changesOf = -1;
      app.own = ownScope(app.model);
      app.largestR = largestScope(app.model);
      app.weightScale = weightScale();
      app.tasks = buildScopeTasks(app);
    }
    if (fresh || moved) {
      const { row, column, head } = trace.header.selection, within = (x, size) => Math.max(0, Math.min(size - 1, x));
      version = trace.header.selection.version;
      app.n = within(row, app.model.H) * app.model.W + within(column, app.model.W);
      state.head = within(head, app.model.heads);
      state.scope = header.facts.scope;
      state.part = header.facts.part;
      state.overlay = header.facts.overlay;
      Object.assign(state, { pinned: true, hover: -1, dragging: null });
      if (fresh) app.half = halfOf(state.scope);
    }
    takeMeasured(header, bytes, start + padded);
    loadPhoto(app, trace.header.photo, "the window of a lambda layer. Arrow keys move the pixel, square brackets change r.");
    readTheme(app, traceKey);
    page.renderAll(app);
    if (fresh || moved) app.relayout();
    else kick();
  };

  function takeMeasured(header, bytes, start) {
    app.facts = header.facts;
    const tensors = readTensors(bytes, header, start);
    app.measured = Object.fromEntries(Object.entries(header.tensors).map(([name, { shape }]) => [name, { data: tensors[name], shape, scale: scaleOf(name, tensors[name]) }]));
    measurement++;
    app.facts.key = keyOf(app.facts);
    if (waiting === app.facts.key) waiting = null;
    const { weights } = app.measured;
    app.check = null;
    if (weights && app.model.hasPosition) {
      const mine = windowWeights(app.model, app.facts.row * app.model.W + app.facts.column, app.facts.scope, new Float32Array(weights.data.length));
      app.check = { maxDelta: largestDifference(mine, weights.data), maxAbs: biggest(weights.data), count: weights.data.length };
    }
    notice();
  }

  // ---- what the present state means
  const halfOf = (scope) => scope >> 1;
  const keyOf = ({ row, column, head, scope, part }) => [row, column, head, Math.min(scope, app.own), part].join();
  const place = () => ({ row: Math.floor(app.n / app.model.W), column: app.n % app.model.W, head: state.head, scope: state.scope, part: state.part, overlay: state.overlay });
  app.isMeasured = () => app.facts.key === keyOf(place());
  app.range = () => [Math.min(3, app.own || 3, app.largestR), app.largestR];
  app.weights = () => {
    const key = `${app.n},${Math.min(state.scope, app.own)}`;
    if (cache.weightsKey !== key) windowWeights(app.model, app.n, state.scope, cache.weights);
    cache.weightsKey = key;
    return cache.weights;
  };
  app.changes = () => {
    if (cache.changesOf !== app.n) cache.changes = changeByScope(app.model, outputsByScope(app.model, app.n));
    cache.changesOf = app.n;
    return cache.changes;
  };
  // A footprint belongs to the pixel that it was measured for: while the pixel moves, its weights are shown instead.
  app.overlayName = () => {
    const { model } = app, { row, column, head, part } = app.facts, same = row * model.W + column === app.n && head === state.head && part === state.part;
    const name = model.hasPosition || !["weights", "change"].includes(state.overlay) ? state.overlay : "layer";
    return ["layer", "image"].includes(name) && !same && model.hasPosition ? "weights" : name;
  };
  app.overlay = () => {
    const name = app.overlayName(), { model, measured } = app;
    if (name === "photo") return null;
    if (name === "weights") return { name, data: app.weights(), offset: state.head * model.N, rows: model.H, cols: model.W, scale: app.weightScale, ramp: "position" };
    const map = measured[name];
    if (!map) return null;
    return { name, data: map.data, offset: 0, rows: map.shape[0], cols: map.shape[1], scale: map.scale, ramp: "output", old: !app.isMeasured(), stamp: `${measurement}${name}${app.themeKey}` };
  };
  app.reading = () => {
    const { model, measured, n } = app, now = app.isMeasured(), share = (map) => (now && map ? shareInside(model, map, n, state.scope) : null);
    return { window: model.hasPosition ? positionsIn(model, n, state.scope) : 0, layer: share(measured.layer), image: share(measured.image), change: model.hasPosition ? app.changes()[Math.min(state.scope, app.own) >> 1] : 0 };
  };
  function scaleOf(name, data) {
    const seen = data.filter((x) => x > 0);
    if (name === "change") return Math.max(0.01, biggest(data));
    return seen.length ? sizeQuantile(seen, name === "image" ? 0.985 : 0.96) : 1;
  }
  function weightScale() {
    const { model } = app, out = new Float32Array(model.heads * model.N), found = [];
    for (let i = 0; i < 12; i++) found.push(...windowWeights(model, Math.floor(((i + 0.5) * model.N) / 12), app.own, out).filter((x) => x !== 0));
    return found.length ? sizeQuantile(Float32Array.from(found), 0.985) : 1;
  }

  // ---- layout and frames
  app.relayout = () => {
    if (!app.model || !root.clientWidth) return;
    root.dataset.size = root.clientWidth < 760 ? "slim" : "row";
    app.width = Math.floor(page.stage.clientWidth);
    app.layout = layoutScope(app.width, app.model, Math.max(320, innerHeight - BELOW));
    app.height = app.layout.height;
    kick();
  };

  function kick() {
    if (!frame && !dead) frame = requestAnimationFrame(onFrame);
  }
  app.kick = kick;

  function onFrame(now) {
    frame = 0;
    if (!app.model || !app.palette || !app.layout) return;
    const begin = performance.now(), event = pending;
    pending = null;
    if (event) pointAt(event.x, event.y);
    const goal = halfOf(state.scope), way = goal - app.half, elapsed = Math.min(50, now - (lastFrame || now)) || 16;
    app.half = state.dragging || still.matches || Math.abs(way) < 0.02 ? goal : app.half + way * Math.min(1, elapsed / 60);
    lastFrame = app.half === goal ? 0 : now;
    fitCanvas();
    drawScope(app);
    if (event) {
      app.latencies.push({ work: performance.now() - begin, total: performance.now() - event.time });
      if (app.latencies.length > 600) app.latencies.shift();
    }
    if (app.half !== goal) kick();
  }

  function fitCanvas() {
    const dpr = Math.max(1, devicePixelRatio || 1), w = Math.round((app.width + 2 * EDGE) * dpr), h = Math.round((app.height + 2 * EDGE) * dpr);
    app.dpr = dpr;
    if (canvas.width === w && canvas.height === h) return;
    Object.assign(canvas, { width: w, height: h });
    canvas.style.height = `${app.height + 2 * EDGE}px`;
  }

  // ---- what changes the state
  function setPixel(n) {
    if (n === app.n) return;
    const before = app.overlayName();
    app.n = n;
    if (before === app.overlayName()) page.renderNumbers(app);
    else page.renderAll(app);
  }

  app.setScope = (r, commits) => {
    const [first, last] = app.range(), scope = nearestScope(r, last, first);
    if (!app.model.hasPosition || scope === state.scope) return;
    state.scope = scope;
    page.renderNumbers(app);
    page.say(`r is ${scope}`);
    notice();
    if (commits) app.later(150);
    else if (state.dragging && !isWaiting()) app.commit();
    kick();
  };

  const isWaiting = () => waiting !== null && performance.now() - asked < PATIENCE;
  app.commit = () => {
    clearTimeout(commitTimer);
    commitTimer = 0;
    const key = keyOf(place());
    if (key !== app.facts.key) [waiting, asked] = [key, performance.now()];
    send("selection", { ...place(), scope: state.scope === app.own ? 0 : state.scope });
  };
  app.later = (time) => {
    clearTimeout(commitTimer);
    commitTimer = setTimeout(app.commit, time);
  };
  app.setOverlay = (name) => {
    state.overlay = name;
    page.renderAll(app);
    notice();
    app.commit();
    kick();
  };
  app.setPart = (part) => {
    state.part = part;
    page.renderAll(app);
    app.commit();
    kick();
  };
  app.setHead = (head) => {
    state.head = head;
    page.renderAll(app);
    app.commit();
    kick();
  };
  app.moveBy = (rows, columns) => {
    const { W, H } = app.model, row = Math.max(0, Math.min(H - 1, Math.floor(app.n / W) + rows)), column = Math.max(0, Math.min(W - 1, (app.n % W) + columns));
    state.pinned = true;
    setPixel(row * W + column);
    page.say(`Pixel row ${row + 1}, column ${column + 1}`);
    app.later(250);
    kick();
  };
  app.unpin = () => {
    state.pinned = false;
    page.renderNumbers(app);
    kick();
  };

  function notice() {
    const before = app.done.size;
    for (const task of app.tasks) {
      const holds = task.isDone(app);
      if (holds && task.open) app.done.add(task.id);
      task.open ||= !holds; // what a link shows on arrival, nobody has done
    }
    if (app.done.size === before) return;
    page.renderAll(app);
    send("tasks", [...app.done]);
  }

  // ---- the pointer
  const onCurve = (x, y) => app.layout.curve && x > app.layout.curve.x && y > app.layout.curve.y - 4 && y < app.layout.curve.y + app.layout.curve.h;
  const grip = (x, y, slack) => (app.model.hasPosition && state.pinned ? gripAt(frameOf(app.model, app.layout.photo, app.n, app.half), x, y, slack) : null);
  app.holds = (x, y) => !!app.layout && (!!grip(x, y, 18) || !!onCurve(x, y));

  app.pointerMove = (x, y, time) => {
    pending = { x, y, time };
    kick();
  };
  function pointAt(x, y) {
    const { photo, curve } = app.layout;
    if (state.dragging === "curve") return app.setScope(scopeOfCurve(app, curve, x));
    if (state.dragging === "frame") return app.setScope(scopeAt(app.model, photo, app.n, x, y));
    if (state.dragging === "pixel") {
      // A pull out of the pixel opens a window around it.
      const r = scopeAt(app.model, photo, app.n, x, y);
      if (r >= 3) {
        state.dragging = "frame";
        app.setScope(r);
      }
      return;
    }
    const at = positionAt(app.model, photo, x, y), held = grip(x, y);
    state.hover = held ? -1 : at;
    state.over = app.layout.kernels.findIndex((box) => inside(box, x, y));
    if (at >= 0 && !state.pinned) setPixel(at);
    const onHead = app.layout.weights.some((box) => inside(box, x, y));
    canvas.style.cursor = held || (at >= 0 ? "crosshair" : onCurve(x, y) ? "ew-resize" : onHead ? "pointer" : "default");
  }

  app.press = (x, y, touch) => {
    pending = null;
    if (grip(x, y, touch ? 18 : 10)) state.dragging = "frame";
    else if (onCurve(x, y)) {
      state.dragging = "curve";
      app.setScope(scopeOfCurve(app, app.layout.curve, x));
    } else if (!touch && choosesPixel(x, y)) state.dragging = "pixel";
    kick();
    return !!state.dragging;
  };
  app.tap = (x, y) => {
    if (choosesPixel(x, y)) app.commit();
  };
  function choosesPixel(x, y) {
    const at = positionAt(app.model, app.layout.photo, x, y), head = app.layout.weights.findIndex((box) => inside(box, x, y));
    if (head >= 0) app.setHead(head);
    if (at < 0) return false;
    state.pinned = true;
    setPixel(at);
    page.renderNumbers(app);
    kick();
    return true;
  }
  app.release = () => {
    if (!state.dragging) return;
    if (pending) pointAt(pending.x, pending.y);
    pending = null;
    state.dragging = null;
    app.commit();
    kick();
  };
  app.pointerLeave = () => {
    if (state.dragging) return;
    Object.assign(state, { hover: -1, over: null });
    pending = null;
    kick();
  };

  // ---- hooks for tests
  const toClient = (x, y) => {
    const box = canvas.getBoundingClientRect();
    return { x: box.left + EDGE + x, y: box.top + EDGE + y };
  };
  root.scopeCanvas = {
    state: () => ({ ...place(), overlay: app.overlayName(), pinned: state.pinned, own: app.own, largest: app.largestR, tasks: [...app.done], measured: app.isMeasured(), moving: app.half !== halfOf(state.scope) }),
    numbers: () => ({ weights: [...app.weights()], changes: [...app.changes()], reading: app.reading() }),
    map: (name) => app.measured[name] && { data: [...app.measured[name].data], shape: app.measured[name].shape },
    get axis() { return app.axis; },
    axes: () => axisRuns(litAxes(app)),
    get check() { return app.check; },
    get latencies() { return app.latencies; },
    pixelAt(row, column) {
      const { photo } = app.layout, { H, W } = app.model;
      return toClient(photo.x + ((column + 0.5) * photo.w) / W, photo.y + ((row + 0.5) * photo.h) / H);
    },
    edgeAt: () => {
      const { x, y, w, h, open } = frameOf(app.model, app.layout.photo, app.n, halfOf(state.scope));
      return toClient(open.right ? x + w : x, y + h / 2 + 3);
    },
  };

  app.destroy = () => {
    dead = true;
    cancelAnimationFrame(frame);
    clearTimeout(commitTimer);
    app.plates.clear();
    root.remove();
  };
  return app;
}
