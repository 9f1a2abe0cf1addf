// Edits on the picture of a network that is made up, as JSON: what they sent to Python. See test_workbench.py.
import networkCanvas from "./main.js";

const heard = {}, sent = [], counts = [], parent = { isConnected: true, appendChild() {} }, parts = {};
const listen = (type, listener) => (heard[type] = listener);
const element = () => ({
  dataset: {}, style: {}, children: [], childElementCount: 1, classList: { add() {}, remove() {} }, addEventListener() {}, focus() {},
  remove() {}, querySelector: element, querySelectorAll: () => [],
});
const block = (number) => {
  const found = { ...element(), dataset: { stage: "0", block: `${number}` } };
  found.closest = (selector) => (selector.startsWith(".block") ? found : null);
  return found;
};
const blocks = [0, 1, 2].map(block), number = /data-block="(\d)"/;
parts[".net"] = { ...element(), addEventListener: listen, querySelector: (selector) => blocks[+selector.match(number)[1]] };
const root = {
  ...element(), clientWidth: 900, appendChild() {}, getRootNode: () => ({ activeElement: null }),
  querySelector: (selector) => (parts[selector] ??= element()),
};
Object.assign(globalThis, {
  document: { createElement: () => root }, getComputedStyle: () => ({ getPropertyValue: () => "" }), addEventListener: listen,
  removeEventListener() {}, ResizeObserver: class { observe() {} disconnect() {} },
});

const part = { flops: 1, terms: { flops: [] }, beside: { flops: 1 } };
const run = (letters, answered, session) => networkCanvas({
  data: {
    stages: [{ name: "c2", side: 8, width: 4, out: 8, letters, blocks: [0, 0, 0], sum: { flops: 3 }, beside: null, theirs: [] }],
    kinds: [{ ...part, letter: "C" }], stem: part, head: part, fixed: false, size: 32, total: { flops: 5 }, reference: { flops: 5 },
    title: "one", other: "one", same: true, metrics: { flops: "FLOPs" }, hues: {}, answered, session,
    letters: [["C", "plain", "convolution"], ["L", "lambda", "lambda layer"]],
  },
  parentElement: parent, setTriggerValue: (_name, value) => sent.push({ ...value, stages: [...value.stages] }),
});
const at = (type, place, more) => heard[type]({ target: blocks[place], pointerType: "mouse", button: 0, buttons: 1, ...more });
const count = () => counts.push(sent.length);

run("CCC", 0, "one");
at("pointerdown", 0);
at("pointerup", 0);
count();
run("LCC", 1, "one");
at("pointerdown", 1);
at("pointermove", 2, { buttons: 0 }); // the button was let go of elsewhere
at("pointerup", 2);
count();
run("LLC", 2, "one");
at("pointerdown", 2, { ctrlKey: true }); // asks for a menu
at("pointerup", 2);
count();
at("pointerdown", 2);
heard.pointercancel?.({});
count();
run("LLL", 3, "one");
const end = run("CCC", 0, "two"), shown = [...parent.networkCanvasApp.app.letters];
parent.isConnected = false;
end(); // else its clock keeps the process alive
console.log(JSON.stringify({ sent, counts, shown }));
