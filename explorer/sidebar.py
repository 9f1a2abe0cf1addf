"""The sidebar, the same on every page: which picture, which network, which layer."""

from dataclasses import replace

import streamlit as st

from explorer import images, loading, networks, notes, shelf, state, words
from explorer.loading import HOME
from explorer.state import Selection

SENT = ("upload", "camera", "set")  # pictures that a visitor brought or took from a data set, kept in the session


def picture(selection: Selection) -> images.Picture:
    """The picture that is selected, or the first of the gallery where it is gone."""
    brought = st.session_state.get("pictures", {})
    return brought.get(selection.image) or images.gallery_picture(selection.image)


def controls(selection: Selection) -> None:
    """Draw the sidebar. Pages call this after their picture: what people look at first is sent first."""
    notes.show()
    with st.sidebar:
        st.caption("Picture")
        _thumbs(selection)
        _bring_picture()
        st.caption("Network")
        _network()
        st.caption("Lambda layer")
        _layers(selection)


def existing(*, needs_layer: bool = True) -> Selection:
    """The session's selection with a picture and a layer that it has, and notes about what it had not.

    needs_layer: a page that shows lambda layers ends here, with a sentence and a way on, for a network without one.
    """
    if state.opened():
        _forget_messages()
    name = state.take_network()
    sentences = [] if name is None else networks.linked(name)
    if refused := networks.fetch():
        st.session_state["network_message"] = refused
    selection = replace(state.current(), network=networks.in_links())
    brought = st.session_state.get("pictures", {})
    if selection.image not in images.GALLERY and selection.image not in brought:
        if selection.image in SENT:
            sentences.append("The link shows a picture that was sent in another session; here is one of the gallery.")
        else:
            sentences.append("The link names a picture that is not in the gallery, so here is the first one.")
        selection = replace(selection, image=next(iter(images.GALLERY)))
    paths = [layer.path for layer in loading.lambda_layers(loading.checkpoint().model)]
    if paths and selection.layer not in paths:
        if selection.layer:
            sentences.append(
                "The link names a layer that this network does not have, so here is its first lambda layer."
            )
        selection = replace(selection, layer=paths[0])
    state.note(sentences)
    state.choose(selection)
    if needs_layer and not paths:
        _without_layer(selection)
        st.stop()
    return selection


def _without_layer(selection: Selection) -> None:
    """A page of lambda layers for a network that has none."""
    st.title("No lambda layer to show")
    st.markdown(
        f"**{words.escaped(shelf.title(networks.first().name)[:60])}** has no lambda layer, so this page has "
        "nothing to show of it. Its answers, beside those of a lambda network, are on the page Predictions."
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.button(f"Show {HOME} here", key="network_home", on_click=_open_network, args=(HOME,), type="primary")
        st.page_link("../pages/predictions.py", label="Its answers on Predictions", icon=":material/arrow_forward:")
    controls(selection)
    state.write_url(selection)


def _forget_messages() -> None:
    """What was said of the picture or the network that came last: a choice or a page after it is the next thing."""
    for message in ("picture_message", "network_message", *networks.REFUSED):
        st.session_state.pop(message, None)


def _pick(name: str) -> None:
    _forget_messages()
    state.choose(replace(state.current(), image=name))


def _thumbs(selection: Selection) -> None:
    """A button a picture, the picture as its face. The names are our own: nothing a visitor typed reaches the CSS."""
    brought = st.session_state.get("pictures", {})
    names = [*images.GALLERY, *(name for name in SENT if name in brought)]
    rules = []
    with st.container(horizontal=True, gap="small", key="thumbs"):
        for name in names:
            found = brought.get(name) or images.gallery_picture(name)
            title = found.title + ", on show" * (name == selection.image)  # for who does not see the outline below
            st.button(title, key=f"pick_{name}", on_click=_pick, args=(name,), help=title)
            face = loading.jpeg(found, 104)
            rules.append(f".st-key-pick_{name} button{{background-image:url(data:image/jpeg;base64,{face})}}")
    rules.append(f".st-key-pick_{selection.image} button{{outline:2px solid currentColor;outline-offset:2px}}")
    st.html("<style>" + "".join(rules) + "</style>")


def keep(name: str, found: images.Picture) -> None:
    """Make a picture that a visitor brought, by `name` of SENT, the one that all pages show."""
    st.session_state.setdefault("pictures", {})[name] = found
    state.choose(replace(state.current(), image=name))


def receive(name: str, key: str) -> None:
    """A picture came in: read it, or say what is wrong with it and keep what was there."""
    sent = st.session_state.get(key)
    if sent is None:
        return
    _forget_messages()
    try:
        found = images.read_image(sent.getvalue(), name="Your picture" if name == "upload" else "Your camera")
    except images.ImageRefused as error:
        st.session_state["picture_message"] = str(error)
        return
    st.session_state["picture_message"] = found.note or ""
    keep(name, found)


def _bring_picture() -> None:
    with st.popover("Your picture", icon=":material/add:", width="stretch", key="picture_popover"):
        st.file_uploader(
            "A photograph: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF, up to 30 MB",
            key="upload", on_change=receive, args=("upload", "upload"), max_upload_size=30,
        )  # fmt: skip
        if st.toggle("Use the camera", key="camera_on"):
            st.camera_input("A still", key="camera", on_change=receive, args=("camera", "camera"))
        if message := st.session_state.get("picture_message"):  # in here: the open popover covers what is below it
            st.info(message)


def _choose_layer() -> None:
    _forget_messages()
    state.choose(replace(state.current(), layer=st.session_state["layer_choice"], cell=""))


def _layers(selection: Selection) -> None:
    layers = {layer.path: layer.title for layer in loading.lambda_layers(loading.checkpoint().model)}
    if not layers:
        st.caption("This network has none.")
        return
    st.session_state["layer_choice"] = selection.layer
    st.selectbox(
        "Lambda layer", list(layers), format_func=layers.__getitem__, key="layer_choice", on_change=_choose_layer,
        label_visibility="collapsed",
    )  # fmt: skip


def _open_network(name: str, content: bytes | None = None) -> None:
    """Make a network that of every page, or keep the old one and say why."""
    _forget_messages()
    found = "Every page now shows your network." if content is not None else None
    st.session_state["network_message"] = networks.open_first(name, content) or found


def _choose_network() -> None:
    _open_network(st.session_state["network_choice"])


def _receive_network() -> None:
    sent = st.session_state.get("network_file")
    if sent is not None:
        _open_network(sent.name, sent.getvalue())


def _network() -> None:
    """The network's name, and behind it: another by name, a file, and the model card."""
    name = loading.network_name()
    with st.popover(words.escaped(shelf.title(name)[:60]), width="stretch", key="network_popover"):
        labels = shelf.labels()
        st.session_state["network_choice"] = name
        st.selectbox(
            "Network, on every page", labels if name in labels else [name, *labels],
            format_func=lambda listed: labels.get(listed, listed),
            key="network_choice", on_change=_choose_network,
        )  # fmt: skip
        st.page_link("../pages/predictions.py", label="Its answers and model card", icon=":material/arrow_forward:")
        st.file_uploader(
            "Your own: .safetensors with a card, a state.pt of training, or weights of timm’s or d-li14’s networks",
            key="network_file", on_change=_receive_network, max_upload_size=200,
        )  # fmt: skip
        if message := st.session_state.get("network_message"):
            st.info(message)
