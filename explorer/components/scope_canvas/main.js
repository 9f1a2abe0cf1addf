// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createScope } from "./app.js";
import { wire } from "./events.js";

const SCOPE_KEY = "scopeCanvasApp";

export default function scopeCanvas({ data, parentElement, setStateValue }) {
  let mounted = parentElement[SCOPE_KEY];
  if (!mounted) {
    const app = createScope(parentElement);
    mounted = parentElement[SCOPE_KEY] = { app, disconnect: wire(app), run: 0 };
  }
  const run = ++mounted.run;
  mounted.app.update(data, setStateValue);
  // An overtaken run may be cleaned up late; only the latest one takes the component down.
  return () => {
    if (mounted.run !== run || parentElement[SCOPE_KEY] !== mounted) return;
    mounted.disconnect();
    mounted.app.destroy();
    delete parentElement[SCOPE_KEY];
  };
}
