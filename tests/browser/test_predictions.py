"""Predictions in Chromium: a file becomes the network of every page, a broken one is explained, figures fit."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from explorer import images
from lambda_core import load_checkpoint
from lambda_core.predict import predict
from tests.browser.driver import View, settle, untrained


@pytest.mark.parametrize("view", [View(width=400, height=860, color_scheme="dark")], ids=str)
def test_the_likeliest_class_is_the_models(open_page: Callable[..., Page], view: View) -> None:
    page = open_page("predictions", image="rocket")
    checkpoint = load_checkpoint("lambda_resnet_mini")
    best = predict(checkpoint, images.gallery_picture("rocket").image, 1)[0]
    assert page.locator(".topk li span").first.inner_text() == best["class"]
    page.locator(".js-plotly-plot").nth(1).wait_for()
    sheet = page.get_by_test_id("stMain")
    assert sheet.evaluate("sheet => sheet.scrollWidth - sheet.clientWidth") <= 1


def test_a_file_is_compared_and_then_used_by_every_page(open_page: Callable[..., Page], tmp_path: Path) -> None:
    file = untrained(tmp_path / "mine.safetensors", 64, ("<i>apple</i>", "pear"))
    page = open_page("predictions")
    for place, count in (("second", 2), ("first", 2)):
        page.get_by_text("Open a file").nth(int(place == "second")).click()
        page.locator(f".st-key-file_{place} input[type=file]").set_input_files(file)
        page.wait_for_function("n => document.querySelectorAll('.topk').length === n", arg=count)
        settle(page)
        page.keyboard.press("Escape")
    expect(page.locator(".topk").first).to_contain_text("apple")
    page.get_by_text("<i>apple</i>").first.wait_for()  # on the card
    (tmp_path / "broken.pt").write_bytes(file.read_bytes()[:2000])
    page.get_by_text("Open a file").first.click()
    page.locator(".st-key-file_first input[type=file]").set_input_files(tmp_path / "broken.pt")
    page.get_by_text(re.compile("Not opened")).first.wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Home").first.click()
    page.get_by_text("Look inside a lambda layer").wait_for()
    settle(page)
    expect(page.locator(".st-key-network_popover button").first).to_contain_text("mine.safetensors")
