// One camera on the page. A frame goes to Python only when the one before it came back: nothing queues up, and a slow
// server sees a slower camera. The picture on screen is the browser's own and never waits.
import { readPalette } from "../lambda_canvas/colour.js";
import { isDark } from "../lambda_canvas/dark.js";
import { ARROWS } from "../lambda_canvas/keys.js";
import { pictureUrl } from "../lambda_canvas/picture.js";
import { createFace } from "./face.js";
import { createMeter } from "./meter.js";
import { paintHeat } from "./heat.js";
import { openStream, closeStream, grabFrame, SENTENCES } from "./stream.js";

const FASTEST = 50, FROZEN_SIDE = 512; // ms between frames, px
const LEAST_SIDE = 128; // px of a frame; JPEG at the 32 px that a network may take changes its answers

export function createCamera(parent) {
  const face = createFace(parent), meter = createMeter(), scratch = document.createElement("canvas");
  const state = { mode: "still", number: 0, row: 0, column: 0, grid: [1, 1], side: 128, wish: "", title: "", answered: 0, lost: 0 };
  let send = () => {}, stream = null, waiting = null, frozen = null, palette = null, stillKey = "", said = "", pinVersion = null, timer = 0, attempt = 0, asked = false, dead = false;

  function setMode(mode) {
    state.mode = mode;
    face.showMode(mode, state.title);
  }

  function readTheme() {
    const dark = isDark(face.root);
    if (palette && palette.dark === dark) return;
    face.root.dataset.theme = dark ? "dark" : "light";
    palette = readPalette(getComputedStyle(face.root), dark);
  }

  // ---- frames out
  function next() {
    clearTimeout(timer);
    if (dead || state.mode !== "live") return;
    const now = performance.now(), left = waiting ? meter.patience() - (now - waiting.sent) : 0;
    if (left > 0) return void (timer = setTimeout(next, left));
    const rest = waiting ? 0 : FASTEST - (now - state.sentAt || Infinity);
    if (rest > 0) return void (timer = setTimeout(next, rest));
    const jpeg = grabFrame(face.video, scratch, Math.max(state.side, LEAST_SIDE), 0.92);
    if (!jpeg) return void (timer = setTimeout(next, FASTEST));
    if (waiting) {
      meter.lost();
      state.lost++;
    }
    sendFrame(jpeg, false);
    timer = setTimeout(next, meter.patience());
  }

  function sendFrame(jpeg, freeze) {
    state.sentAt = performance.now();
    waiting = { number: ++state.number, sent: state.sentAt };
    send("frame", { number: state.number, jpeg, row: state.row, column: state.column, freeze });
  }

  // A still or frozen picture is answered again when the pin or the wish changed.
  function again() {
    if (state.mode === "frozen") sendFrame(frozen, true);
    else if (state.mode === "still") sendFrame(null, false);
  }

  // ---- answers in
  function update(data, trigger) {
    send = trigger;
    readTheme();
    state.side = data.side;
    if (data.still && data.still.key !== stillKey) {
      stillKey = data.still.key;
      state.title = data.still.title;
      face.still.src = pictureUrl(data.still.jpeg);
      face.still.alt = data.still.title;
      if (state.mode === "still") face.showMode("still", state.title);
    }
    // Python takes the camera for running, as it does when the visitor left the page amid a film and comes back: say no.
    if (data.still) asked = false;
    else if (state.mode === "still" && !asked) {
      asked = true;
      send("status", "still");
    }
    const wished = data.wish !== state.wish;
    state.wish = data.wish;
    if (data.answer) receive(data.answer);
    if (wished && state.mode === "frozen" && !waiting) again();
  }

  function receive(answer) {
    const forStill = !answer.number;
    if (forStill !== (state.mode === "still" || state.mode === "starting")) return;
    if (!forStill) {
      if (!waiting || answer.number !== waiting.number) return;
      const now = performance.now();
      if (!answer.refused) meter.answered(now, now - waiting.sent, answer.ms);
      state.answered++;
      say(answer.refused || "");
    }
    waiting = null;
    if (!answer.refused) take(answer);
    if (state.mode === "live") {
      face.showRate(meter.read());
      next();
    }
  }

  function take(answer) {
    state.grid = answer.grid;
    if (answer.pin.version !== pinVersion) {
      pinVersion = answer.pin.version;
      [state.row, state.column] = [answer.pin.row, answer.pin.column];
    }
    show(answer);
  }

  function show(answer) {
    const { heat } = answer;
    face.showTop(answer.top);
    face.unlike.hidden = !answer.unlike;
    face.unlike.textContent = answer.unlike || "";
    face.root.dataset.heat = heat ? "on" : "off";
    face.heat.hidden = !heat;
    if (heat) paintHeat(face.heat, heat, palette.photo[heat.hue]);
    face.showLegend(heat, heat && palette.photo[heat.hue]);
    face.pin.hidden = !answer.pinned;
    if (answer.pinned) face.showPin(state.row, state.column, state.grid);
    if (answer.top.length && state.mode !== "live") face.spoken.textContent = `${answer.top[0].name}, ${Math.round(100 * answer.top[0].p)} per cent`;
  }

  function say(sentence) {
    if (said === sentence) return;
    said = face.notice.textContent = sentence;
  }

  // ---- the camera
  async function start() {
    const mine = ++attempt;
    setMode("starting");
    say("");
    try {
      const opened = await openStream();
      if (dead || mine !== attempt) return closeStream(opened);
      stream = opened;
      stream.getVideoTracks()[0].addEventListener("ended", () => stop("ended"));
      face.video.srcObject = stream;
      await face.video.play();
      if (dead || mine !== attempt) return;
      meter.clear();
      waiting = null;
      setMode("live");
      send("status", "live");
      timer = setTimeout(next, 120); // the fragment answers the status first
    } catch (error) {
      if (dead || mine !== attempt) return;
      release();
      setMode("still");
      say(SENTENCES[error.reason || "busy"]);
      send("status", error.reason || "busy");
    }
  }

  function release() {
    clearTimeout(timer);
    closeStream(stream);
    stream = waiting = frozen = null;
    face.video.srcObject = null;
  }

  function stop(reason = "") {
    if (!stream && state.mode !== "starting") return;
    attempt++;
    release();
    setMode("still");
    say(SENTENCES[reason] || "");
    if (!dead) send("status", "still");
  }

  function freeze() {
    if (state.mode === "frozen") {
      frozen = waiting = null;
      setMode("live");
      face.video.play().catch(() => {});
      meter.clear();
      return next();
    }
    if (state.mode !== "live") return;
    const side = Math.max(state.side, Math.min(FROZEN_SIDE, face.video.videoWidth, face.video.videoHeight));
    frozen = grabFrame(face.video, face.frozen, side, 0.95);
    if (!frozen) return;
    clearTimeout(timer);
    setMode("frozen");
    sendFrame(frozen, true);
  }

  // ---- pinning
  function pin(row, column) {
    const [height, width] = state.grid;
    const place = [Math.min(height - 1, Math.max(0, row)), Math.min(width - 1, Math.max(0, column))];
    if (face.pin.hidden || (place[0] === state.row && place[1] === state.column)) return;
    [state.row, state.column] = place;
    face.showPin(state.row, state.column, state.grid);
    again();
  }

  face.start.addEventListener("click", () => (stream ? stop() : start()));
  face.freeze.addEventListener("click", freeze);
  face.stage.addEventListener("click", (event) => { // a finger that scrolls the page clicks nothing
    const box = face.stage.getBoundingClientRect(), [height, width] = state.grid;
    pin(Math.floor(((event.clientY - box.top) / box.height) * height), Math.floor(((event.clientX - box.left) / box.width) * width));
  });
  face.stage.addEventListener("keydown", (event) => {
    const arrow = ARROWS[event.key];
    if (arrow) pin(state.row + arrow[0], state.column + arrow[1]);
    else if (event.key === " ") freeze();
    else return;
    event.preventDefault();
  });
  const hide = () => document.hidden && stop("hidden");
  document.addEventListener("visibilitychange", hide);
  setMode("still");

  face.root.liveCamera = { state: () => ({ ...state }), rate: () => meter.read(), tracks: () => (stream ? stream.getTracks().map((track) => track.readyState) : []) };
  return {
    update,
    destroy() {
      dead = true;
      release();
      document.removeEventListener("visibilitychange", hide);
      face.root.remove();
    },
  };
}
