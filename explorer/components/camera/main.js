// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createCamera } from "./camera.js";
import { mountOnce } from "../lambda_canvas/mount.js";

const CAMERA_KEY = "lambdaCamera";

export default function camera({ data, parentElement, setTriggerValue }) {
  return mountOnce(parentElement, CAMERA_KEY, createCamera, data, setTriggerValue);
}
