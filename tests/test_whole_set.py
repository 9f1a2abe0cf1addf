"""The validation set on the predictions page: a measurement that is given up, and how many photographs one takes."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from explorer import measured, whole_set
from explorer.networks import Opened
from lambda_core.checkpoints import Checkpoint
from lambda_core.evaluation import Answers
from tests import imagenette
from tests.test_predictions import start


def test_a_measurement_is_given_up_and_the_next_takes_as_many_photographs_as_were_chosen(tmp_path, monkeypatch):
    begun, here = [], {}

    def interrupted(_network, count):
        begun.append(count)
        yield 10, count
        whole_set.st.stop()  # as a press ends the run that measures

    monkeypatch.setenv("LAMBDA_DATA", str(imagenette.make(tmp_path, train=0, val=2)))
    monkeypatch.setattr(measured, "_here", lambda: here)
    monkeypatch.setattr(whole_set, "COUNTS", (10,))
    app = start(network="micro_ccll")
    with monkeypatch.context() as patch:
        patch.setattr(measured, "measure", interrupted)
        app.button(key="set_measure").click().run()
        assert begun == [20]
        app.button(key="set_cancel").click().run()
    assert not app.exception and begun == [20] and not here
    assert not len(app.dataframe) and not any(button.key == "set_cancel" for button in app.button)
    app.selectbox(key="set_count").set_value(10).run()
    assert app.button(key="set_measure").label == "Measure on 10 validation photographs"
    app.button(key="set_measure").click().run()
    assert not app.exception and app.dataframe[0].value["Photographs"].tolist() == ["10"]
    assert [found["images"] for found in here.values()] == [10]


def test_a_measurement_on_few_photographs_puts_none_on_more_aside(monkeypatch):
    network, here, nothing = Opened("mine", "mine", Checkpoint(torch.nn.Identity())), {}, np.zeros((1, 2))
    monkeypatch.setattr(measured, "_here", lambda: here)
    monkeypatch.setattr(measured, "pictures", lambda network: [(torch.zeros(3, 2, 2), 0)] * 8)
    monkeypatch.setattr(measured, "normalized", lambda checkpoint, x: x)
    monkeypatch.setattr(measured, "answers_of", lambda model, x: Answers(nothing, nothing))
    monkeypatch.setattr(measured, "_outside", lambda network: None)
    monkeypatch.setattr(measured, "report", lambda inside, labels, indices, outside: {"images": len(labels)})
    for count in (4, 6, 2):
        assert list(measured.measure(network, count)) == [(count, count)]
    assert measured.figures(network) == {"images": 6}
    assert [found["images"] for found in measured._known(network)] == [4, 6, 2]
    assert measured.figures(Opened("other", "other", network.checkpoint)) is None


def test_networks_are_called_as_in_the_columns_above(monkeypatch):
    shown = []
    monkeypatch.setattr(measured, "accuracy", lambda _found: "")
    monkeypatch.setattr(whole_set.st, "dataframe", lambda rows, **_: shown.extend(rows))
    found = {"loss": 1.0, "calibration": {"ece": 0.1}, "images": 10, "confusion": [[10]]}
    whole_set._table([(Opened(name, "key", None), found) for name in ("micro_content", "mine.pt")])
    assert [row["Network"] for row in shown] == ["Small: lambda, content only", "mine.pt"]


def test_a_class_that_looks_like_the_name_of_a_file_keeps_all_of_it(monkeypatch):
    kept = []
    monkeypatch.setattr(measured, "pictures", lambda _: SimpleNamespace(source=[(Image.new("RGB", (8, 8)), 0)]))
    monkeypatch.setattr(whole_set.sidebar, "keep", lambda _name, picture: kept.append(picture.title))
    whole_set._take(Opened("mine", "key", Checkpoint(None, ("v1.5",))), 0)
    assert kept == ["v1.5"]
