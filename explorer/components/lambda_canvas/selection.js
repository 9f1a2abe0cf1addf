// The selection as Python knows it, and the state as the page keeps it.
import { hasCells } from "./view.js";

export function newState() {
  return { step: 0, cell: null, pinned: false, head: 0, key: 0, value: 0, overlay: null, hover: null, symbol: null, sweep: false };
}

const within = (x, size) => Math.max(0, Math.min(size - 1, Number.isInteger(x) ? x : 0));

export function applySelection(model, state, selection) {
  state.step = within(selection.step, 9);
  state.head = within(selection.head, model.heads);
  state.key = within(selection.key, model.K);
  state.value = within(selection.value, model.V);
  state.pinned = !!selection.pinned;
  const kind = state.step >= 4 && hasCells(model, selection.cell) ? selection.cell : null;
  state.cell = kind && { kind, row: kind === "output" ? state.head : state.key, value: state.value };
  return within(selection.row, model.H) * model.W + within(selection.column, model.W);
}

// Keeps a state valid when another layer arrives.
export function fitState(model, state) {
  state.head = within(state.head, model.heads);
  state.key = within(state.key, model.K);
  state.value = within(state.value, model.V);
  state.hover = null;
  if (state.cell && !hasCells(model, state.cell.kind)) state.cell = null;
  if (state.cell) state.cell = { kind: state.cell.kind, row: within(state.cell.row, state.cell.kind === "output" ? model.heads : model.K), value: within(state.cell.value, model.V) };
}

export function readSelection(model, state, n) {
  return {
    row: Math.floor(n / model.W), column: n % model.W, head: state.head, key: state.key, value: state.value,
    step: state.step, cell: state.cell ? state.cell.kind : null, pinned: state.pinned,
  };
}
