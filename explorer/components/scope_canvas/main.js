// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createScope } from "./app.js";
import { wire } from "./events.js";
import { mountOnce, withEvents } from "../lambda_canvas/mount.js";

const SCOPE_KEY = "scopeCanvasApp";

export default function scopeCanvas({ data, parentElement, setStateValue }) {
  return mountOnce(parentElement, SCOPE_KEY, createWithEvents, data, setStateValue);
}

function createWithEvents(parent) {
  const app = createScope(parent);
  return withEvents(app, wire(app));
}
