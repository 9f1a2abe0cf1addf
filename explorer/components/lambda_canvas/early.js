// The canvas that the cover draws while Streamlit's client loads. The component takes it over as it stands, with what the
// visitor did on it meanwhile.
const EARLY = "earlyLambdaCanvas";

// drawn: { app, update, destroy }, as a component is made of.
export function keepEarly(drawn, data) {
  const said = new Map(), end = () => {
    delete window[EARLY];
    drawn.destroy();
  };
  drawn.update(data, (name, value) => said.set(name, value));
  window[EARLY] = { drawn, said, end };
}

// The canvas on the cover, moved to `parent`; null where there is none.
export function takeEarly(parent) {
  const early = window[EARLY];
  if (!early) return null;
  delete window[EARLY];
  const { drawn, said } = early;
  parent.appendChild(drawn.app.root);
  document.getElementById("cover")?.remove();
  return {
    ...drawn,
    update(data, send) {
      drawn.update(data, send);
      if (said.has("selection")) drawn.app.resume(said.get("selection"));
      if (said.has("tasks")) send("tasks", said.get("tasks"));
      said.clear();
    },
  };
}
