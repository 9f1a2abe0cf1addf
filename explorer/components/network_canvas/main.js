// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createNetwork } from "./network.js";

const NETWORK_KEY = "networkCanvasApp";

export default function networkCanvas({ data, parentElement, setTriggerValue }) {
  const mounted = (parentElement[NETWORK_KEY] ??= { app: createNetwork(parentElement), run: 0 });
  const run = ++mounted.run;
  mounted.app.update(data, setTriggerValue);
  // An overtaken run may be cleaned up late; only the latest one takes the component down.
  return () => {
    if (mounted.run !== run || parentElement[NETWORK_KEY] !== mounted) return;
    mounted.app.destroy();
    delete parentElement[NETWORK_KEY];
  };
}
