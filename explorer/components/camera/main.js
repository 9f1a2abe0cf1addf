// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createCamera } from "./camera.js";
import { mountOnce } from "../lambda_canvas/mount.js";

const CAMERA_KEY = "lambdaCamera";

export default function camera({ data, parentElement, setTriggerValue }) {
  const takeDown = mountOnce(parentElement, CAMERA_KEY, createCamera, data, setTriggerValue);
  // Where one change of the data follows another at once, as a frame a click, Streamlit cleans up the first run before it
  // starts the second: only a component that is off the page has come to its end, and only then does the camera go off.
  return () => parentElement.isConnected || takeDown();
}
