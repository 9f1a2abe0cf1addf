// The component: Streamlit calls this on every change of the data, and the returned function on unmount.
import { createFormula } from "./formula.js";

const FORMULA_KEY = "formulaApp";

export default function formulaCode({ data, parentElement }) {
  const mounted = (parentElement[FORMULA_KEY] ??= { app: createFormula(parentElement), run: 0 });
  const run = ++mounted.run;
  mounted.app.update(data);
  // An overtaken run may be cleaned up late; only the latest one takes the component down.
  return () => {
    if (mounted.run !== run || parentElement[FORMULA_KEY] !== mounted) return;
    mounted.app.destroy();
    delete parentElement[FORMULA_KEY];
  };
}
