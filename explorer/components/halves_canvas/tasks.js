// What a visitor is asked to do, one after the other; the page notices when it is done.
export function buildTasks(model, share) {
  const { W, H, heads, hasContent, hasPosition } = model;
  const far = (a, b) => Math.abs((a % W) - (b % W)) >= W / 2 || Math.abs(Math.floor(a / W) - Math.floor(b / W)) >= H / 2;
  const least = [...share.content].sort((a, b) => b - a)[Math.max(0, Math.floor(share.content.length * 0.03) - 1)];
  const drag = { id: "halves_drag", notice: (event, memory) => event.type === "pixel" && far((memory.start ??= event.before), event.n) };
  const tasks = [
    { ...drag, text: hasContent && hasPosition ? "drag the pixel to the other side of the photo. Which matrix stays, which one changes?" : "drag the pixel to the other side of the photo. Does the matrix change?" },
    hasContent && hasPosition && { id: "halves_share", text: "take the pixel to a place where content has its largest share, the deepest blue of the share map", notice: (event) => event.type === "pixel" && share.content[event.n] >= least },
    heads > 1 && { id: "halves_heads", text: "look through the heads with [ and ]. Does any of them look at the whole photo, or away from the pixel?", notice: (event, memory) => event.type === "head" && (memory.seen ||= new Set()).add(event.head).size >= Math.min(3, heads) },
  ];
  return tasks.filter(Boolean).map((task) => ({ ...task, memory: {} }));
}
