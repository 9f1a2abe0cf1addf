"""The guided tour without a browser: where its links lead, what ticks, what the line above a page says."""

import re
from dataclasses import asdict
from types import SimpleNamespace

import pytest

from explorer import allowed, canvas, memory_view, navigation, tour
from explorer.tour import TASKS
from lambda_core import build, save_checkpoint
from lambda_core.measuring import Machine
from tests.test_pages import start

NAMED = re.compile(r"""(?:id: "|tick\("|done\(\)\.add\("|TASK = ")([\w-]+)\"""")


def noticed():
    """Names of tasks that some page or canvas notices."""
    explorer = navigation.PAGES.parent / "explorer"
    files = [*explorer.glob("*.py"), *explorer.glob("components/*/tasks.js")]
    return {name for file in files for name in NAMED.findall(file.read_text())}


def test_every_task_of_a_page_that_is_there_is_noticed_by_somebody():
    there = tour.tasks()
    assert 7 <= len(there) <= 10
    assert {task.name for task in there} <= noticed()
    assert len({task.name for task in TASKS}) == len(TASKS)


def said_above(app):
    """The line above the page, in words."""
    found = [text.value for text in app.markdown if "Tour," in text.value or "Next:" in text.value]
    found += [link.label for link in app.get("page_link") if "Tour," in link.label or "Next:" in link.label]
    found += [button.label for button in app.button if button.key and button.key.startswith("tour_open_")]
    return found


@pytest.mark.parametrize("task", tour.tasks(), ids=lambda task: task.name)
def test_each_page_of_the_tour_proposes_its_own_task(task):
    app = start()
    app.session_state["tasks_done"] = {other.name for other in TASKS if other.page == task.page and other != task}
    app.switch_page(f"../pages/{task.page}.py").run()
    assert not app.exception
    assert [text for text in said_above(app) if task.text in text]


def test_the_first_page_ticks_what_is_done():
    app = start()
    assert not said_above(app)
    app.session_state["tasks_done"] = {"sum", "of no tour"}
    app.run()
    icons = {link.label.partition(". ")[2]: link.icon for link in app.get("page_link")}
    ticked = [text for text, icon in icons.items() if icon == tour.ICONS[True]]
    assert ticked == [task.text for task in TASKS if task.name == "sum"]
    assert any(caption.value.startswith("1 of") for caption in app.caption)
    assert any("until you close this page or load it anew" in caption.value for caption in app.caption)


def test_the_line_is_hidden_and_comes_back():
    app = start("../pages/scope.py")
    assert said_above(app)
    app.button(key="tour_hide").click().run()
    assert not said_above(app)
    app.switch_page("../pages/home.py").run()
    app.button(key="tour_unhide").click().run()
    app.switch_page("../pages/scope.py").run()
    assert said_above(app)


def test_the_line_opens_the_step_on_the_page_that_is_open():
    app = start("../pages/lambda_layer.py")
    app.session_state["tasks_done"] = {"overview"}
    app.run()
    app.button(key="tour_open_sum").click().run()
    assert app.session_state["selection"].step == 6
    assert not app.exception


@pytest.mark.parametrize(("page", "words"), [("scope", "3 × 3"), ("lambda_layer", "one table stays")])
def test_what_the_network_does_not_allow_is_not_proposed(page, words):
    app = start(f"../pages/{page}.py", network="micro_content")
    assert not app.exception and not [text for text in said_above(app) if words in text]
    app.selectbox(key="network_choice").set_value("lambda_resnet_mini").run()
    assert [text for text in said_above(app) if words in text]


def test_the_first_page_lists_what_the_network_allows():
    app = start(network="micro_content")
    listed = [link.label for link in app.get("page_link") if re.match(r"\d\. ", link.label)]
    assert len(listed) == 6 and not [text for text in listed if "one table stays" in text or "3 × 3" in text]
    assert any(caption.value.startswith("0 of 6 done") and "3, which" in caption.value for caption in app.caption)
    app.selectbox(key="network_choice").set_value("lambda_resnet_mini").run()
    assert any(caption.value.startswith("0 of 9 done") for caption in app.caption)


@pytest.mark.parametrize(("network", "there"), [("micro_scope3", False), ("micro_scope7", True)])
def test_a_window_that_is_3_wide_already_is_not_to_be_dragged_there(network, there):
    app = start("../pages/scope.py", network=network)
    assert not app.exception
    assert bool([text for text in said_above(app) if "3 × 3" in text]) == there, "by the layer"
    app.switch_page("../pages/home.py").run()
    assert bool([link for link in app.get("page_link") if "3 × 3" in link.label]) == there, "by the network"


def test_a_machine_that_does_not_report_its_memory_has_no_line_to_cross(monkeypatch):
    monkeypatch.setattr(allowed, "main_memory", lambda: Machine(0, 0))
    monkeypatch.setattr(memory_view, "_machine", lambda: asdict(Machine(0, 0)))
    app = start()
    assert not [link for link in app.get("page_link") if "memory of this machine" in link.label]
    app.switch_page("../pages/memory.py").run()
    assert not app.exception and any(memory_view.UNKNOWN in caption.value for caption in app.caption)
    assert not [text for text in said_above(app) if "memory of this machine" in text]
    monkeypatch.setattr(memory_view, "_machine", lambda: asdict(Machine(2**34, 2**33)))
    app.run()
    assert [text for text in said_above(app) if "memory of this machine" in text]


def test_an_answer_that_cannot_change_is_nobodys_task(tmp_path):
    overrides = {"num_classes": 1}
    file = tmp_path / "one.safetensors"
    save_checkpoint(
        file, build("lambda_resnet_mini", **overrides), classes=("all",),
        architecture={"name": "lambda_resnet_mini", "overrides": overrides},
        preprocess={"size": 64, "mean": [0.5] * 3, "std": [0.5] * 3},
    )  # fmt: skip
    app = start("../pages/content_position.py")
    assert any("fewest" in text.value for text in app.markdown)
    upload = app.file_uploader(key="network_file")
    upload.upload("one.safetensors", file.read_bytes(), "application/octet-stream").run()
    assert not app.exception and not any("fewest" in text.value for text in app.markdown)
    assert not [text for text in said_above(app) if "Switch halves off" in text]
    app.switch_page("../pages/home.py").run()
    assert not [link for link in app.get("page_link") if "Paint over" in link.label or "Switch halves" in link.label]


@pytest.mark.parametrize("network", ["micro_content", "micro_scope3"])  # no window, and one that is 3 x 3 already
def test_where_the_network_closes_the_rest_nothing_is_said(network):
    app = start("../pages/scope.py", network=network)
    app.session_state["tasks_done"] = {task.name for task in TASKS} - {"scope-crop"}
    app.run()
    assert not app.exception and not said_above(app)
    assert not [text for text in app.markdown if "tour is done" in text.value]


def test_after_the_last_task_nothing_is_proposed():
    app = start()
    app.session_state["tasks_done"] = {task.name for task in TASKS}
    app.switch_page("../pages/scope.py").run()
    assert not said_above(app)


def test_a_tick_inside_a_fragment_brings_the_line_up_to_date():
    app = start("../pages/content_position.py", image="cat")
    app.session_state["tasks_done"] = {"overview", "sum"}
    app.run()
    assert "**Tour, 2 of" in said_above(app)[0]
    for preset in ("Neither", "Content only", "Position only"):  # one of them changes the answer
        app.button(key=f"preset_{preset}").click().run()
    assert "halves_switch" in app.session_state["tasks_done"]
    assert "3 of" in said_above(app)[0]


def test_a_task_done_at_a_step_that_is_not_the_next_tasks(monkeypatch):
    """The line stood there with a button, and was to be written again with the same one."""
    monkeypatch.setattr(canvas, "lambda_canvas", lambda *_args, **_options: SimpleNamespace(tasks=("sum",)))
    app = start("../pages/lambda_layer.py", step=6)
    app.session_state["tasks_done"] = set()
    app.run()
    assert not app.exception and len(said_above(app)) == 1 and "1 of" in said_above(app)[0]
    app.button(key="tour_open_overview_again").click().run()
    assert not app.exception and app.session_state["selection"].step == 0
