// What to do here; the page notices when it is done. isDone(app): by what is shown and measured now.

export function buildScopeTasks({ model, own, largestR }) {
  if (!model.hasPosition) return [];
  const shows = (app) => app.isMeasured() && ["layer", "image"].includes(app.overlayName());
  return [
    own > 3 && { id: "scope-crop", text: "drag the window down to 3 × 3. How far does the output move?", isDone: (app) => app.state.scope === 3 },
    own < largestR && { id: "scope-beyond", text: `open the window wider than ${own} × ${own}. Does the measured footprint follow?`, isDone: (app) => app.state.scope > own && app.isMeasured() },
    model.hasContent && { id: "scope-content", text: "differentiate with the content half as well. What now lies outside the window?", isDone: (app) => app.state.part === "both" && shows(app) },
  ].filter(Boolean);
}
