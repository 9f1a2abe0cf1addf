// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createApp } from "./app.js";
import { connect } from "./events.js";
import { mountOnce, withEvents } from "./mount.js";

const KEY = "lambdaCanvasApp";

export default function lambdaCanvas({ data, parentElement, setStateValue }) {
  return mountOnce(parentElement, KEY, createWithEvents, data, setStateValue);
}

function createWithEvents(parent) {
  const app = createApp(parent);
  return withEvents(app, connect(app));
}
