// The life of a component: made once for its place on the page, updated on every change of the data, taken down at last.

// create(parent) -> { update, destroy }. The function returned is what Streamlit calls on unmount; an overtaken run may
// be cleaned up late, so only the latest one takes the component down.
export function mountOnce(parent, key, create, ...news) {
  const mounted = (parent[key] ??= { app: create(parent), run: 0 });
  const run = ++mounted.run;
  mounted.app.update(...news);
  return () => {
    if (mounted.run !== run || parent[key] !== mounted) return;
    mounted.app.destroy();
    delete parent[key];
  };
}

// An app together with its listeners, as `create` gives it.
export function withEvents(app, disconnect) {
  return {
    update: (...news) => app.update(...news),
    destroy: () => {
      disconnect();
      app.destroy();
    },
  };
}
