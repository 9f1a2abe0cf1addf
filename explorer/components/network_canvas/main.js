// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createNetwork } from "./network.js";
import { mountOnce } from "../lambda_canvas/mount.js";

const NETWORK_KEY = "networkCanvasApp";

export default function networkCanvas({ data, parentElement, setTriggerValue }) {
  return mountOnce(parentElement, NETWORK_KEY, createNetwork, data, setTriggerValue);
}
