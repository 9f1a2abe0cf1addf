// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createApp } from "./app.js";
import { keepEarly, takeEarly } from "./early.js";
import { connect } from "./events.js";
import { mountOnce, withEvents } from "./mount.js";

const KEY = "lambdaCanvasApp";

export default function lambdaCanvas({ data, parentElement, setStateValue }) {
  return mountOnce(parentElement, KEY, (parent) => takeEarly(parent) ?? createWithEvents(parent), data, setStateValue);
}

// For the cover of the page (explorer/early.py).
export function drawEarly(data, parent) {
  keepEarly(createWithEvents(parent), data);
}

function createWithEvents(parent) {
  const app = createApp(parent);
  return withEvents(app, connect(app));
}
