// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createApp } from "./app.js";
import { connect } from "./events.js";

const KEY = "halvesCanvasApp";

export default function halvesCanvas({ data, parentElement, setStateValue }) {
  let mounted = parentElement[KEY];
  if (!mounted) {
    const app = createApp(parentElement);
    mounted = parentElement[KEY] = { app, disconnect: connect(app), run: 0 };
  }
  const run = ++mounted.run;
  mounted.app.update(data, setStateValue);
  // An overtaken run may be cleaned up late; only the latest one takes the component down.
  return () => {
    if (mounted.run !== run || parentElement[KEY] !== mounted) return;
    mounted.disconnect();
    mounted.app.destroy();
    delete parentElement[KEY];
  };
}
