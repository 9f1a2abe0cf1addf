// Every node, label and link of the stage moves from where it is now to where the layout wants it.

export const MOVE = 320;
const FADE = 225, LEAVE = 190, LATE = 90, STAGGER = 4, MOST = 60;
const ease = (t) => (t < 0.5 ? 4 * t * t * t : 1 - (2 - 2 * t) ** 3 / 2);
const FIELDS = ["x", "y", "w", "h", "alpha"];
const TWINS = { keyMap: "score", score: "keyMap", window: "kernel", kernel: "window" };

export function createScene() {
  const nodes = new Map(), labels = new Map(), links = new Map(), height = { now: null, from: 0, to: 0, start: 0, time: 0 };
  let sorted = null;

  function tween(item, to, now, time, delay = 0) {
    item.from = { x: item.x, y: item.y, w: item.w, h: item.h, alpha: item.alpha };
    item.to = to;
    item.start = now + (time ? delay : 0);
    item.time = time;
    item.moving = true;
  }

  // A part grows out of its source where that is on the stage, else it rises a little.
  function birthplace(spec) {
    const twin = TWINS[spec.kind] && `${TWINS[spec.kind]}:${spec.index}`;
    const source = nodes.get(spec.from) || nodes.get(twin);
    if (source && source.alpha > 0.02) return source;
    return { x: spec.x, y: spec.y + 6, w: spec.w, h: spec.h };
  }

  function show(layout, now, instant) {
    const speed = instant ? 0 : 1;
    for (const [id, node] of nodes) if (!layout.nodes.has(id)) tween(node, { x: node.x, y: node.y, w: node.w, h: node.h, alpha: 0 }, now, speed * LEAVE);
    for (const spec of layout.nodes.values()) {
      let node = nodes.get(spec.id);
      if (!node || node.alpha < 0.02) {
        const { x, y, w, h } = birthplace(spec);
        node = Object.assign(node || {}, { id: spec.id, kind: spec.kind, index: spec.index, part: spec.part, x, y, w, h, alpha: 0 });
        nodes.set(spec.id, node);
      }
      tween(node, { x: spec.x, y: spec.y, w: spec.w, h: spec.h, alpha: 1 }, now, speed * MOVE, Math.min(MOST, (spec.index || 0) * STAGGER));
    }
    fadeAll(labels, layout.labels, (label) => `${label.id}|${label.x}|${label.y}|${label.runs.map((run) => run.symbol || run).join("")}`, now, speed);
    fadeAll(links, layout.links, (link) => link.id, now, speed);
    Object.assign(height, { from: height.now ?? layout.height, to: layout.height, start: now, time: speed * MOVE });
    if (!speed || height.now === null) height.now = height.to;
    sorted = null;
  }

  function fadeAll(map, specs, key, now, speed) {
    const kept = new Set();
    for (const spec of specs) {
      const id = key(spec);
      kept.add(id);
      const item = map.get(id) || { alpha: 0, goal: 0 };
      map.set(id, item);
      item.spec = spec;
      if (item.goal !== 1 || !speed) fade(item, 1, now, speed * FADE, LATE);
    }
    for (const [id, item] of map) if (!kept.has(id) && (item.goal !== 0 || !speed)) fade(item, 0, now, speed * LEAVE * 0.6, 0);
  }
  const fade = (item, goal, now, time, delay) => Object.assign(item, { was: item.alpha, goal, start: now + (time ? delay : 0), time, moving: true });

  const progress = (item, now) => (item.time ? Math.max(0, Math.min(1, (now - item.start) / item.time)) : 1);

  // Moves everything on; true while something still moves.
  function step(now) {
    let busy = false;
    for (const [id, node] of nodes) {
      if (!node.moving) continue;
      const t = progress(node, now), eased = ease(t);
      for (const field of FIELDS) node[field] = node.from[field] + (node.to[field] - node.from[field]) * eased;
      node.moving = t < 1;
      busy ||= node.moving;
      if (!node.moving && node.to.alpha === 0) {
        nodes.delete(id);
        sorted = null;
      }
    }
    for (const map of [labels, links]) for (const [id, item] of map) {
      if (!item.moving) continue;
      const t = progress(item, now);
      item.alpha = item.was + (item.goal - item.was) * t;
      item.moving = t < 1;
      busy ||= item.moving;
      if (!item.moving && item.goal === 0) map.delete(id);
    }
    const t = progress(height, now);
    height.now = t < 1 ? height.from + (height.to - height.from) * ease(t) : height.to;
    return busy || t < 1;
  }

  const rank = (node) => (node.kind === "photo" ? 0 : node.index === null ? 2 : 1);
  return {
    nodes, labels, links, show, step,
    inOrder: () => (sorted ||= [...nodes.values()].sort((a, b) => rank(a) - rank(b))),
    get height() { return height.now ?? 0; },
    node: (id) => {
      const node = nodes.get(id);
      return node && node.alpha > 0.01 ? node : null;
    },
    // The box around all visible nodes of a kind.
    box(kind) {
      let x0 = Infinity, y0 = Infinity, x1 = -Infinity, y1 = -Infinity;
      for (const node of nodes.values()) {
        if (node.kind !== kind || node.alpha <= 0.01) continue;
        x0 = Math.min(x0, node.x);
        y0 = Math.min(y0, node.y);
        x1 = Math.max(x1, node.x + node.w);
        y1 = Math.max(y1, node.y + node.h);
      }
      return x0 === Infinity ? null : { x: x0, y: y0, w: x1 - x0, h: y1 - y0 };
    },
  };
}
