// One component on the page: its state, what changes it, and the frames that show it.
import { readHeader, readTensors } from "./trace.js";
import { buildModel } from "./model.js";
import { createPixel } from "./pixel.js";
import { createCheck } from "./check.js";
import { newState, applySelection, fitState, readSelection } from "./selection.js";
import { buildSteps } from "./words.js";
import { buildTasks } from "./tasks.js";
import { loadPhoto, readTheme } from "./setting.js";
import { measure, layoutView, reservedHeight } from "./layout.js";
import { createScene } from "./scene.js";
import { createPlates } from "./plates.js";
import { drawStage, BLEED } from "./draw.js";
import { drawTip } from "./lettering.js";
import { tipText } from "./highlights.js";
import { AXIS_AWAY, axisRuns } from "./axis_marks.js";
import { litAxes } from "./axes.js";
import { isByRow, hitTest, sameHit, activeCell, isOpenable, gridSize, stepOfGroup } from "./view.js";
import { nextHit } from "./pointing.js";
import { createPage } from "./page.js";

const RAIL = 1240, SLIM = 760, ROOM_BELOW = 480, LATENCIES = 600;

export function createApp(parent) {
  const page = createPage(parent), { root, canvas } = page, still = matchMedia("(prefers-reduced-motion: reduce)");
  const app = {
    root, page, canvas, ctx: canvas.getContext("2d"), state: newState(), scene: createScene(), plates: createPlates(), mode: "steps",
    model: null, pixel: null, palette: null, photoImage: null, photoKey: "", themeKey: "", grey: 0, greyGoal: 0, width: 0, stageHeight: 0, dpr: 1,
    axis: "", latencies: [], doneTasks: new Set(),
  };
  const { state, scene } = app;
  let send = () => {}, traceKey = "", version = null, frame = 0, lastFrame = 0, pending = null, sweepAt = 0, sweepIndex = 0, arrowTimer = 0, checkTimer = 0, dead = false;

  // ---- data
  app.update = (bytes, setStateValue) => {
    send = setStateValue;
    if (!bytes || !bytes.byteLength) return;
    const { header, start } = readHeader(bytes), first = !app.model, fresh = header.trace !== traceKey;
    app.mode = header.mode;
    root.dataset.mode = header.mode;
    if (fresh) {
      traceKey = header.trace;
      app.plates.clear();
      const n = app.pixel ? app.pixel.n : 0, before = app.model;
      app.model = buildModel(header.layer, readTensors(bytes, header, start));
      app.pixel = createPixel(app.model);
      app.steps = buildSteps(app.model);
      app.tasks = buildTasks(app.model).map((task) => task && { ...task, done: app.doneTasks.has(task.id) });
      fitState(app.model, state);
      const sameMap = before && before.W === app.model.W && before.H === app.model.H;
      app.pixel.move(sameMap ? n : Math.floor(app.model.H / 2) * app.model.W + Math.floor(app.model.W / 2));
      startCheck();
    }
    loadPhoto(app, header.photo, "photo and tensors of a lambda layer. Arrow keys move the pixel; with Shift they point at the parts.");
    const moved = header.selection && header.selection.version !== version;
    if (moved) {
      version = header.selection.version;
      app.pixel.move(applySelection(app.model, state, header.selection));
      state.hover = null;
    }
    if (app.mode === "overview") Object.assign(state, { step: 0, cell: null });
    if (readTheme(app, traceKey)) page.renderLegends(app);
    if (first || fresh || moved) {
      page.renderAll(app);
      relayout(first || fresh);
    }
  };

  function startCheck() {
    clearTimeout(checkTimer);
    const check = (app.check = createCheck(app.model));
    const slice = () => {
      if (dead || app.check !== check) return;
      if (!check.run(8)) checkTimer = setTimeout(slice, 12);
      else page.renderCheck(app);
    };
    checkTimer = setTimeout(slice, 300);
  }

  // ---- layout
  function relayout(instant) {
    if (!app.model) return;
    const full = root.clientWidth;
    if (!full) return;
    root.dataset.size = app.mode === "overview" ? "row" : full >= RAIL ? "rail" : full < SLIM ? "slim" : "row";
    app.width = Math.floor(page.stage.clientWidth);
    const size = measure(app.width, app.model, Math.max(300, innerHeight - ROOM_BELOW));
    app.layout = layoutView(size, app.model, state.cell ? "cell" : state.step, state.cell);
    const reserved = size.wide && app.mode === "steps" ? reservedHeight(size, app.model, { kind: "lambda", row: 0, value: 0 }, [0, 1, 2, 3, 4, 5, 6, 7, 8]) : 0;
    page.stage.style.minHeight = `${reserved}px`;
    scene.show(app.layout, performance.now(), instant || still.matches);
    kick();
  }
  app.relayout = relayout;

  function fitCanvas() {
    const dpr = Math.max(1, devicePixelRatio || 1), height = Math.round(scene.height), w = Math.round((app.width + 2 * BLEED) * dpr), h = Math.round(height * dpr);
    app.dpr = dpr;
    app.stageHeight = height;
    if (canvas.width === w && canvas.height === h) return;
    Object.assign(canvas, { width: w, height: h });
    canvas.style.height = `${height}px`;
  }

  // ---- frames
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
    if (state.sweep && now - sweepAt > 90) nextSweep(now);
    const busy = scene.step(now);
    fitCanvas();
    drawStage(app);
    const tip = state.hover ? tipText(app) : "";
    if (tip) drawTip(app.ctx, app.palette, tip, state.hover.x, state.hover.y, app.width);
    const fading = stepGrey(Math.min(50, now - (lastFrame || now)) || 16);
    lastFrame = busy || fading ? now : 0;
    if (event) {
      const done = performance.now();
      app.latencies.push({ work: done - begin, total: done - event.time });
      if (app.latencies.length > LATENCIES) app.latencies.shift();
    }
    if (busy || fading || state.sweep) kick();
  }

  // The photo turns grey, and back, in about 160 ms.
  function stepGrey(elapsed) {
    const way = app.greyGoal - app.grey;
    if (!way) return false;
    const step = still.matches ? 1 : elapsed / 160;
    app.grey = Math.abs(way) <= step ? app.greyGoal : app.grey + Math.sign(way) * step;
    return true;
  }

  // ---- what changes the state
  function setPixel(n) {
    if (n === app.pixel.n) return;
    const before = app.pixel.n;
    app.pixel.move(n);
    page.renderWhere(app);
    if (activeCell(app.model, state)) page.renderSide(app);
    if (state.cell) page.renderText(app); // at the rim a cell has fewer products
    notice({ type: "pixel", n, before });
  }

  function pointAt(x, y) {
    const hit = hitTest(app.layout, app.model, x, y), before = state.hover;
    if (hit && hit.kind === "photo" && !state.cell && !state.pinned) {
      state.hover = null;
      setPixel(hit.position);
    } else state.hover = hit;
    const key = hit && (hit.kind === "keyMap" || hit.kind === "window" || hit.kind === "kernel" || hit.kind === "score") ? hit.index : hit && isByRow(state.step) && isOpenable(app.model, state, hit) ? hit.row : null;
    if (key !== null && isByRow(state.step) && key !== state.key) {
      state.key = key;
      page.renderWhere(app);
    }
    if (!sameHit(before, state.hover)) {
      page.renderSide(app);
      if (hit) notice({ type: "hover", hit });
    }
    const opens = hit && (state.step === 0 ? stepOfGroup(hit.kind) : isOpenable(app.model, state, hit) || hit.kind === "weights" || hit.kind === "bars");
    canvas.style.cursor = hit && hit.kind === "photo" ? "crosshair" : opens ? "pointer" : "default";
  }

  function notice(event) {
    const task = app.tasks[state.step];
    if (!task || task.done || !task.notice(event, app, task.memory)) return;
    task.done = true;
    app.doneTasks.add(task.id);
    page.renderText(app);
    send("tasks", [...app.doneTasks]);
  }

  const commit = () => send("selection", readSelection(app.model, state, app.pixel.n));
  app.flush = () => {
    clearTimeout(arrowTimer);
    arrowTimer = 0;
    commit();
  };

  // What a visitor chose before there was a page to tell.
  app.resume = (selection) => {
    app.pixel.move(applySelection(app.model, state, selection));
    page.renderAll(app);
    relayout(true);
    commit();
  };

  app.goTo = (step, quiet) => {
    const next = Math.max(0, Math.min(8, step));
    if (app.mode === "overview") return send("selection", { ...readSelection(app.model, state, app.pixel.n), step: next });
    if (next === state.step && !state.cell) return;
    Object.assign(state, { step: next, cell: null, hover: null, overlay: null });
    page.renderAll(app);
    page.say(`${next ? `Step ${next}` : "Overview"}: ${app.steps[next].name}`);
    relayout(false);
    if (!quiet) commit();
  };
  app.openCell = (cell) => {
    state.cell = cell;
    state.hover = null;
    state.value = cell.value;
    if (cell.kind === "output") state.head = cell.row;
    else state.key = cell.row;
    notice({ type: "open", cell });
    page.say(`Opened ${cell.kind === "output" ? "head" : "key"} ${cell.row + 1}, value ${cell.value + 1}`);
    page.renderAll(app);
    relayout(false);
    commit();
  };
  app.back = () => {
    stopSweep();
    if (state.cell) {
      Object.assign(state, { cell: null, hover: null });
      page.renderAll(app);
      relayout(false);
      commit();
    } else if (state.step) app.goTo(0);
    else if (state.pinned) {
      state.pinned = false;
      page.renderWhere(app);
      kick();
      commit();
    }
  };
  app.moveBy = (rows, columns) => {
    stopSweep();
    const { W, H } = app.model, row = Math.max(0, Math.min(H - 1, Math.floor(app.pixel.n / W) + rows)), column = Math.max(0, Math.min(W - 1, (app.pixel.n % W) + columns));
    state.pinned = true;
    setPixel(row * W + column);
    page.renderWhere(app);
    page.say(`Pixel row ${row + 1}, column ${column + 1}`);
    clearTimeout(arrowTimer);
    arrowTimer = setTimeout(app.flush, 250);
    kick();
  };
  app.pointOn = (rows, columns) => {
    stopSweep();
    pending = null;
    const hit = app.layout && nextHit(app.layout, app.model, state.hover, rows, columns);
    if (!hit) return;
    pointAt(hit.x, hit.y);
    page.say(`${hit.position >= 0 ? `row ${hit.row + 1}, column ${hit.col + 1}: ` : ""}${tipText(app)}`);
    kick();
  };
  app.enter = () => {
    const kinds = { 4: "content_lambda", 5: "position_lambda", 6: "lambda", 7: "output" }, { hover } = state;
    if (state.step === 0) return app.goTo((hover && stepOfGroup(hover.kind)) || 1);
    if (hover && isOpenable(app.model, state, hover)) return app.openCell({ kind: hover.kind, row: hover.row, value: hover.col });
    const kind = kinds[state.step];
    if (kind && isOpenable(app.model, state, { kind })) app.openCell({ kind, row: kind === "output" ? state.head : state.key, value: state.value });
  };
  app.setOverlay = (name) => {
    state.overlay = name;
    notice({ type: "overlay", name });
    page.renderChoices(app);
    page.renderWhere(app);
    kick();
  };
  app.setHead = (head) => {
    state.head = head;
    page.renderChoices(app);
    kick();
    commit();
  };
  app.setSymbol = (name) => {
    if (name === state.symbol) return;
    state.symbol = name;
    kick();
  };

  // ---- the pointer
  app.pointerMove = (x, y, time) => {
    stopSweep();
    pending = { x, y, time };
    kick();
  };
  app.pointerLeave = () => {
    pending = null;
    if (!state.hover) return;
    state.hover = null;
    page.renderSide(app);
    kick();
  };
  app.press = (x, y) => {
    stopSweep();
    const hit = hitTest(app.layout, app.model, x, y);
    if (!hit) return;
    if (hit.kind === "photo") {
      state.pinned = !(state.pinned && hit.position === app.pixel.n);
      setPixel(hit.position);
      page.renderWhere(app);
      kick();
      commit();
    } else if (state.step === 0) {
      if (stepOfGroup(hit.kind)) app.goTo(stepOfGroup(hit.kind));
    } else if (hit.kind === "weights" || hit.kind === "bars") {
      if (hit.kind === "weights") app.setOverlay(hit.part);
      app.setHead(hit.index);
    } else if (hit.kind === "query") app.setHead(hit.col);
    else if (isOpenable(app.model, state, hit)) app.openCell({ kind: hit.kind, row: hit.row, value: hit.col });
  };

  // A finger moves the pixel while it is down; lifting it pins the pixel.
  app.touch = (x, y, time) => {
    const hit = app.layout && hitTest(app.layout, app.model, x, y);
    if (!hit || hit.kind !== "photo") return;
    const { pinned } = state, { n } = app.pixel;
    app.restore = () => {
      pending = app.restore = null;
      state.pinned = pinned;
      setPixel(n);
      page.renderWhere(app);
      kick();
    };
    state.pinned = false;
    app.pointerMove(x, y, time);
  };
  app.restore = null; // where the finger turned out to scroll the page, all is as before it came

  // ---- the sweep: a slow figure over the photo, stopped by any input
  app.toggleSweep = () => {
    state.sweep = !state.sweep;
    if (state.sweep) state.pinned = false;
    page.renderWhere(app);
    page.renderSweep(app);
    kick();
  };
  function stopSweep() {
    if (!state.sweep) return;
    state.sweep = false;
    page.renderSweep(app);
  }
  function nextSweep(now) {
    const { W, H } = app.model, angle = (2 * Math.PI * sweepIndex++) / 120;
    sweepAt = now;
    setPixel(Math.round(((H - 1) / 2) * (1 + 0.7 * Math.sin(2 * angle))) * W + Math.round(((W - 1) / 2) * (1 + 0.85 * Math.sin(angle))));
  }

  // ---- hooks for tests
  const toClient = (x, y) => {
    const box = canvas.getBoundingClientRect();
    return { x: box.left + BLEED + x, y: box.top + y };
  };
  root.lambdaCanvas = {
    state: () => ({ ...readSelection(app.model, state, app.pixel.n), overlay: state.overlay, hover: state.hover && state.hover.id, sweep: state.sweep, mode: app.mode, tasks: [...app.doneTasks], moving: scene.step(performance.now()) }),
    numbers: () => app.pixel.numbers(),
    get check() { return app.check.result; },
    get latencies() { return app.latencies; },
    hitOf(id, i = 0, j = 0) {
      const node = app.layout.nodes.get(id), size = node && (gridSize(app.model, node.kind) || [1, 1]);
      return node ? toClient(node.x + ((j + 0.5) * node.w) / size[1], node.y + ((i + 0.5) * node.h) / size[0]) : null;
    },
    pixelAt: (row, column) => root.lambdaCanvas.hitOf("photo", row, column),
    nodes: () => [...app.layout.nodes.keys()],
    get axis() { return app.axis; },
    axes: () => axisRuns(litAxes(app)),
    besideOf: (kind) => toClient(scene.box(kind).x - AXIS_AWAY, scene.box(kind).y + scene.box(kind).h / 3),
  };

  app.destroy = () => {
    dead = true;
    cancelAnimationFrame(frame);
    clearTimeout(checkTimer);
    clearTimeout(arrowTimer);
    app.plates.clear();
    root.remove();
  };
  return app;
}
