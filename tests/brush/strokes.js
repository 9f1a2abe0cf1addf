// Strokes on the brush of a page that is made up, as JSON: what it sent to Python. See test_brush.py.
import brushComponent from "./main.js";

const heard = {}, sent = [], parent = { isConnected: true, appendChild() {} };
const element = () => ({
  dataset: {}, style: {}, value: "5", checked: false, classList: { add() {}, remove() {}, toggle() {} },
  addEventListener() {}, append() {}, remove() {}, replaceChildren() {}, querySelector: element,
});
const canvas = {
  getContext: () => ({}), setPointerCapture() {}, addEventListener: (type, listener) => (heard[type] = listener),
  getBoundingClientRect: () => ({ left: 0, top: 0, width: 64, height: 64 }), // a pixel a cell of the mask
};
const parts = { canvas };
const board = () => ({ ...element(), querySelector: (selector) => (parts[selector] ??= element()) });
let made = 0;
Object.assign(globalThis, {
  document: { createElement: () => (made++ ? element() : board()) }, getComputedStyle: () => ({ getPropertyValue: () => "" }),
  requestAnimationFrame: () => 1, cancelAnimationFrame() {}, Image: class {}, ResizeObserver: class { observe() {} disconnect() {} },
});

const empty = "0".repeat(1024), answer = { title: "cup", before: 1, after: 0.5, rows: [["cup", 0.9, 0.5]] }, said = [];
const run = (mask, version, after = 0.5, session = "one") => brushComponent({
  data: { photo: "", fill: "", mask, version, session, answer: { ...answer, after } }, parentElement: parent, setStateValue: (_name, value) => sent.push(value),
});
const at = (type, x, y, more) => heard[type]({ clientX: x, clientY: y, button: 0, isPrimary: true, pointerId: 1, ...more });
const second = { isPrimary: false, pointerId: 2 }, right = { button: 2 }, counts = [];
const count = () => counts.push(sent.length);

run(empty, 1);
at("pointerdown", 10, 10);
at("pointerup", 10, 10);
at("pointerdown", 40, 40);
run(sent[0].digits, 1); // the answer to the first stroke, amid the second
at("pointerup", 40, 40);
count();
at("pointerdown", 40, 40);
at("pointerup", 40, 40); // nothing new
count();
run(empty, 2); // Python has uncovered all
at("pointerdown", 40, 40);
at("pointerup", 40, 40); // the same again is news
count();
at("pointerdown", 20, 55, right);
at("pointermove", 25, 55, right);
at("pointerup", 25, 55, right);
count();
at("pointerdown", 10, 25);
at("pointerdown", 50, 25, second);
at("pointermove", 55, 25, second);
at("pointerup", 55, 25, second);
count();
at("pointermove", 15, 25);
run(empty, 2);
at("pointerup", 15, 25);
count();
let end;
for (const [mask, after] of [[empty, 1], [sent[0].digits, 1.004], [sent[0].digits, 0.996], [sent[0].digits, 0.5], [sent[0].digits, 1.5]]) {
  end = run(mask, 3, after);
  said.push([parts[".after"].hidden, parts[".change"].textContent]);
}
at("pointerdown", 40, 40);
at("pointerup", 40, 40);
end = run(empty, 3, 0.5, "two"); // a session that has as many versions behind it
const left = parent.brushApp.app.mask.reduce((sum, covered) => sum + covered, 0);
parent.isConnected = false;
end(); // else its clock keeps the process alive
console.log(JSON.stringify({ sent, counts, said, left }));
