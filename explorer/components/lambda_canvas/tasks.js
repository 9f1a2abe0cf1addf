// One thing to do in each step; the page notices when it is done.
import { largestIn } from "./highlights.js";
import { perPosition } from "./view.js";

// A task's `notice(event, app, memory)` is true when it is done. Events: pixel, hover, open, overlay.
export function buildTasks(model) {
  const { heads, K, N, H, W, hasContent, hasPosition } = model, last = N - 1;
  const isRim = (n) => n < W || n > last - W || n % W === 0 || n % W === W - 1;
  const far = (a, b) => Math.abs((a % W) - (b % W)) >= W / 2 || Math.abs(Math.floor(a / W) - Math.floor(b / W)) >= H / 2;
  const moved = (event, app, memory) => {
    if (event.type !== "pixel") return false;
    memory.start ??= event.before;
    return far(memory.start, event.n);
  };
  const both = (type, read, wanted) => (event, app, memory) => {
    if (event.type !== type) return false;
    const name = read(event);
    if (wanted.includes(name)) (memory.seen ||= new Set()).add(name);
    return !!memory.seen && memory.seen.size === wanted.length;
  };
  const strongestKey = () => {
    let best = 0, size = -1;
    for (let k = 0; k < K; k++) {
      const peak = Math.abs(largestIn(model.keyMaps, k, N));
      if (peak > size) [best, size] = [k, peak];
    }
    return best;
  };
  const hovers = (kind, test = () => true) => (event) => event.type === "hover" && event.hit.kind === kind && test(event.hit);
  const tasks = [
    { id: "overview", text: hasPosition ? (hasContent ? "move the pixel across the photo. Which table changes, which one stays?" : "move the pixel across the photo and watch the table change") : "move the pixel across the photo. The table stays; what changes?", notice: moved },
    { id: "input", text: "point at a channel to lay it on the photo", notice: hovers("input") },
    heads > 1
      ? { id: "projections", text: "point at a query map of head 1, then at one of another head", notice: (event, app, memory) => {
          if (event.type === "hover" && event.hit.kind === "queryMap") (memory.heads ||= new Set()).add(Math.floor(event.hit.index / K));
          return !!memory.heads && memory.heads.has(0) && memory.heads.size > 1;
        } }
      : { id: "projections", text: "point at a query map, then at a value map", notice: both("hover", (event) => event.hit.kind, ["queryMap", "valueMap"]) },
    hasContent && { id: "keys", text: "find the key with the largest single weight", notice: hovers("keyMap", (hit) => hit.index === strongestKey()) },
    hasContent && { id: "content", text: "move the pixel to the other side of the photo. Does the table change?", notice: moved },
    hasPosition && (model.windowed
      ? { id: "position", text: "move the pixel to the rim, where the window is cut off", notice: (event) => event.type === "pixel" && isRim(event.n) }
      : { id: "position", text: "move the pixel to a corner and see which part of a kernel is left in use", notice: (event) => event.type === "pixel" && [0, W - 1, last - W + 1, last].includes(event.n) }),
    { id: "sum", text: "open a cell, and point at the position that counts most in it (keys: Shift with the arrows)", notice: (event, app) => event.type === "hover" && !!app.state.cell && event.hit.position === weightiest(model, app.pixel, app.state.cell) },
    { id: "apply", text: "point at the largest output of this pixel", notice: (event, app) => event.type === "hover" && event.hit.kind === "output" && isLargestOutput(model, app.pixel, event.hit) },
    hasContent && hasPosition
      ? { id: "attention", text: "lay the content weights on the photo, then the position weights", notice: both("overlay", (event) => event.name, ["content", "position"]) }
      : { id: "attention", text: "move the pixel across the photo and watch its weights", notice: moved },
  ];
  return tasks.map((task) => task && { ...task, memory: {} });
}

function isLargestOutput(model, pixel, hit) {
  const { data, cols } = pixel.matrix.output();
  let most = 0;
  for (const y of data) most = Math.max(most, Math.abs(y));
  return Math.abs(data[hit.row * cols + hit.col]) >= most;
}

// The position whose product in a cell's sum is the largest, of either sign.
function weightiest(model, pixel, cell) {
  const products = perPosition(model, pixel.cellSum(cell, 6, true).product);
  let best = 0;
  for (let m = 1; m < model.N; m++) if (Math.abs(products[m]) > Math.abs(products[best])) best = m;
  return best;
}
