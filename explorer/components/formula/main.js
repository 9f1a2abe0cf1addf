// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createFormula } from "./formula.js";
import { mountOnce } from "../lambda_canvas/mount.js";

const FORMULA_KEY = "formulaApp";

export default function formulaCode({ data, parentElement }) {
  return mountOnce(parentElement, FORMULA_KEY, createFormula, data);
}
