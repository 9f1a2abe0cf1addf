// @font-face does nothing inside a shadow root, so the fonts go into the document, once.
export function loadFonts(parent) {
  const id = "lambda-canvas-fonts", source = parent.querySelector("template[data-fonts]");
  if (!source || document.getElementById(id)) return;
  const style = document.createElement("style");
  style.id = id;
  style.textContent = source.content.textContent;
  document.head.appendChild(style);
}
