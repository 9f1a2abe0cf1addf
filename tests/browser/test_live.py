"""The live page in Chromium, with a camera that plays a file, and without one."""

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Playwright

from explorer import images
from lambda_core import load_checkpoint
from lambda_core.predict import predict
from tests.browser.driver import (
    EXCEPTION,
    Server,
    View,
    Watch,
    address,
    bring_small_network,
    open_profile,
    settle,
)

FIND = """() => {
  const visit = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element.liveCamera) return element.liveCamera;
      const found = element.shadowRoot && visit(element.shadowRoot);
      if (found) return found;
    }
  };
  return visit(document);
}"""
WATCH_CAMERA = """
const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async wish => (window.stream = await open(wish));
"""
CLICK_AMID_A_FRAME = f"""async ([key, name]) => {{
  const c = ({FIND})(), choices = [...document.querySelectorAll(`.st-key-${{key}} [role=radio]`)];
  while (c.state().number === c.state().answered) await new Promise(requestAnimationFrame);
  choices.find(choice => choice.textContent.trim() === name).click();
}}"""
REFUSE = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', '%s'); };"


def answer(picture: Image.Image) -> tuple[str, float]:
    """The likeliest class of the network that ships, in per cent."""
    best = predict(load_checkpoint("lambda_resnet_mini"), picture, 1)[0]
    return best["class"], 100 * best["probability"]


def still() -> Image.Image:
    """The photograph of the gallery that the network is surest about, in the shape of a camera's picture."""
    stills = [images.gallery_picture(name).image.resize((640, 480)) for name in images.GALLERY]
    return max(stills, key=lambda picture: answer(picture)[1])


def film(path: Path) -> Path:
    """A film of a still, so that its answer can be known: JPEGs one after another."""
    buffer = io.BytesIO()
    still().save(buffer, "JPEG", quality=95)
    path.write_bytes(buffer.getvalue() * 4)
    return path


@pytest.fixture(scope="module")
def cinema(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A browser whose camera plays that film."""
    reel = film(tmp_path_factory.mktemp("film") / "film.mjpeg")
    context = open_profile(playwright, reel.parent / "profile", f"--use-file-for-fake-video-capture={reel}")
    context.add_init_script(WATCH_CAMERA)
    yield context
    context.close()


def wait(page: Page, condition: str) -> None:
    """Until a condition on the component's test face, `c`, holds."""
    page.wait_for_function(f"() => {{ const c = ({FIND})(); return c && ({condition}); }}")


def running(page: Page) -> bool:
    """Whether a camera is on."""
    return page.evaluate("() => !!window.stream && window.stream.getTracks().some(t => t.readyState === 'live')")


@pytest.fixture
def at_the_cinema(app: Server, cinema: BrowserContext, watch: Watch) -> Iterator[Page]:
    """The live page in front of the film, watched to its end."""
    page = View().page(cinema)
    watch.follow(page)
    page.goto(address(app, "live"))
    settle(page)
    wait(page, "c.state().grid[0] > 1")
    yield page
    exceptions = page.locator(EXCEPTION).all_inner_texts()
    page.close()
    assert not exceptions + watch.problems()


def test_the_camera_is_answered_frame_by_frame_and_freezes_for_other_pages(at_the_cinema: Page) -> None:
    page = at_the_cinema
    assert not running(page), "the camera starts only when asked"
    page.get_by_test_id("camera-start").click()
    wait(page, "c.state().answered >= 4 && c.rate()")
    assert running(page)
    for _ in range(5):
        assert page.evaluate(f"() => {{ const c = ({FIND})().state(); return c.number - c.answered - c.lost; }}") <= 1
        page.wait_for_timeout(50)
    assert re.search(
        r"[\d.]+ frames a second, each answered after \d+ ms", page.get_by_test_id("camera-rate").inner_text()
    )

    best, sure = answer(still())
    name, share = page.get_by_test_id("camera-top").locator("li").first.inner_text().split("\n")[:2]
    assert name == best
    assert float(share.rstrip(" %")) == pytest.approx(sure, abs=15)  # a JPEG of a JPEG, scaled twice

    page.get_by_test_id("camera-freeze").click()
    page.wait_for_url(re.compile("image=camera"))
    link = page.get_by_text("Step through the layer").last
    link.wait_for()
    assert page.evaluate(f"() => ({FIND})().state().mode") == "frozen"
    settle(page)
    link.click()
    page.wait_for_url(re.compile("lambda_layer.*image=camera"))
    page.get_by_test_id("headline").wait_for()
    assert not running(page), "leaving the page turns the camera off"


def test_every_click_counts_while_the_camera_runs(at_the_cinema: Page) -> None:
    page = at_the_cinema
    page.get_by_test_id("camera-start").click()
    wait(page, "c.state().answered >= 2")
    clicks = [("overlay", name) for name in ("Grad-CAM", "Position", "Content")]
    clicks += [("head", name) for name in "231"]
    lost = []
    for choice, name in clicks:
        answered = page.evaluate(f"() => ({FIND})().state().answered")
        page.evaluate(CLICK_AMID_A_FRAME, [f"live_{choice}", name])
        wait(page, f"c.state().answered >= {answered + 3}")  # the frame amid which it was, one more, one of the choice
        chosen = page.locator(f".st-key-live_{choice}").get_by_role("radio", checked=True).all_inner_texts()
        if chosen != [name]:
            lost.append((choice, name, chosen))
    assert not lost
    assert "content weights of the pinned pixel, head 1" in page.get_by_test_id("camera").inner_text()


def open_by_menu(page: Page, name: str) -> None:
    """A page of the group Inspect, as a visitor goes there: within the session."""
    page.get_by_role("button", name="Inspect", exact=True).click()
    page.get_by_test_id("stTopNavDropdownLink").get_by_text(name, exact=True).click()
    page.wait_for_url(re.compile(name.lower()))
    settle(page)


def see_the_still(page: Page) -> None:
    """The picture, its answer and its legend are there, and no camera is on."""
    wait(page, "c.state().mode === 'still' && c.state().grid[0] > 1")
    assert not running(page)
    assert page.evaluate(f"() => ({FIND})().state().title") in page.get_by_test_id("camera").inner_text()
    assert page.get_by_test_id("camera").locator("img").evaluate("e => e.decode().then(() => e.naturalWidth)") > 0
    assert page.get_by_test_id("camera-top").locator("li").first.inner_text()
    assert page.get_by_test_id("camera").locator(".legend").is_visible()


def test_who_comes_back_sees_the_still(at_the_cinema: Page) -> None:
    page = at_the_cinema
    page.get_by_test_id("camera-start").click()
    wait(page, "c.state().answered >= 1")
    open_by_menu(page, "Predictions")
    open_by_menu(page, "Live")
    see_the_still(page)

    page.get_by_test_id("camera-start").click()
    wait(page, "c.state().answered >= 1")
    page.get_by_test_id("camera-freeze").click()
    page.wait_for_url(re.compile("image=camera"))
    settle(page)
    page.get_by_text("Attributions", exact=True).last.click()
    page.wait_for_url(re.compile("attributions.*image=camera"))
    settle(page)
    page.go_back()
    page.wait_for_url(re.compile("live"))
    see_the_still(page)
    assert page.evaluate(f"() => ({FIND})().state().title") == "Your camera"


def test_the_camera_goes_off_when_the_page_is_out_of_sight(at_the_cinema: Page) -> None:
    page = at_the_cinema
    page.get_by_test_id("camera-start").click()
    wait(page, "c.state().answered >= 1")
    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', {value: true}); "
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )
    wait(page, "c.state().mode === 'still'")
    assert not running(page)
    assert "out of sight" in page.get_by_test_id("camera-notice").inner_text()


@pytest.mark.parametrize(("error", "words"), [("NotAllowedError", "has not given"), ("NotFoundError", "No camera")])
def test_without_a_camera_there_is_a_sentence_and_an_upload(
    open_page: Callable[..., Page], page: Page, error: str, words: str
) -> None:
    page.add_init_script(REFUSE % error)
    open_page("live")
    page.get_by_test_id("camera-start").click()
    page.get_by_text("A picture instead").wait_for()
    assert words in page.get_by_test_id("camera-notice").inner_text()
    page.locator(".st-key-live_upload input").set_input_files(
        {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": images.jpeg_bytes(images.gallery_picture("cat").image)}
    )
    page.wait_for_url(re.compile("image=upload"))
    settle(page)


def test_a_coarse_network_is_shown_the_pixels_that_it_takes(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page("live")
    bring_small_network(page, tmp_path)
    wait(page, "c.state().side === 32 && c.state().grid[0] === 4")
    still = page.get_by_test_id("camera").locator("img")
    kind, width = still.evaluate("e => e.decode().then(() => [e.src.slice(5, 14), e.naturalWidth])")
    assert (kind, width) == ("image/png", 512)


@pytest.mark.parametrize("view", [View(), View(width=400, height=860, color_scheme="dark")], ids=str)
def test_a_pixel_is_pinned_by_click_and_by_key(open_page: Callable[..., Page], view: View) -> None:
    page = open_page("live")
    wait(page, "c.state().grid[0] === 16")
    choices = page.locator(".st-key-live_overlay")
    left, right = choices.evaluate("e => [e.getBoundingClientRect().left, e.getBoundingClientRect().right]")
    for choice in choices.get_by_role("radio").all():  # none is cut off
        place = choice.bounding_box()
        assert place and left <= place["x"] and place["x"] + place["width"] <= right
    stage = page.get_by_role("group", name="Picture.")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 2.5 / 16, box["y"] + box["height"] * 4.5 / 16)
    page.wait_for_url(re.compile("row=5&column=3"))
    stage.press("ArrowRight")
    page.wait_for_url(re.compile("row=5&column=4"))
