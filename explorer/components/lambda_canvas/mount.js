// The life of a component: made once for its place on the page, updated on every change of the data, taken down at last.

// create(parent) -> { update, destroy }. The function returned is what Streamlit calls on unmount, and also for a run that
// is overtaken, before or after the next one begins: only the latest run takes the component down, and only when it is
// off the page.
export function mountOnce(parent, key, create, ...news) {
  const mounted = (parent[key] ??= { app: create(parent), run: 0 });
  const run = ++mounted.run;
  mounted.app.update(...news);
  return () => {
    if (parent.isConnected || mounted.run !== run || parent[key] !== mounted) return;
    mounted.app.destroy();
    delete parent[key];
  };
}

// An app together with its listeners, as `create` gives it.
export function withEvents(app, disconnect) {
  return {
    app,
    update: (...news) => app.update(...news),
    destroy: () => {
      disconnect();
      app.destroy();
    },
  };
}
