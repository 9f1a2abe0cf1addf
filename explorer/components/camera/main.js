// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createCamera } from "./camera.js";

const CAMERA_KEY = "lambdaCamera";

export default function camera({ data, parentElement, setTriggerValue }) {
  const mounted = (parentElement[CAMERA_KEY] ??= { camera: createCamera(parentElement), run: 0 });
  const run = ++mounted.run;
  mounted.camera.update(data, setTriggerValue);
  // An overtaken run may be cleaned up late; only the latest one takes the component down.
  return () => {
    if (mounted.run !== run || parentElement[CAMERA_KEY] !== mounted) return;
    mounted.camera.destroy();
    delete parentElement[CAMERA_KEY];
  };
}
