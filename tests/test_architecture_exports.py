"""The network on the bench counted by PyTorch, and taken along as figure, numbers and program."""

import csv
import io
import re

import pytest

from explorer import architecture_check, architecture_exports, blocks
from explorer.architecture import read
from explorer.blocks import costs, measure
from tests.test_architectures import PAGE, WHOLE
from tests.test_pages import start


@pytest.mark.parametrize("text", [*WHOLE[2:4], "resnet50~CCLL"])
def test_pytorch_counts_the_same(text):
    found = read(text)
    said = architecture_check.verdict(found, costs(found))
    assert said.count("(Δ 0)") == 2 and f"{measure(costs(found).whole)['params']:,} parameters" in said


def test_what_pytorchs_counter_does_not_see_is_said():
    found = read("resnet26~R-HZ-GL-L~r7~px64")
    said = architecture_check.verdict(found, costs(found))
    assert said.count("(Δ 0)") == 1 and "convolutions and matrix products alone" in said


def test_the_check_stands_for_the_network_that_was_asked_about():
    app = start(PAGE)

    def checked():
        return [caption.value for caption in app.caption if caption.value.startswith("check against PyTorch")]

    assert not checked()
    app.button(key="bench_check").click().run()
    assert "15,559,736 parameters (Δ 0), 7,734,009,856 FLOPs (Δ 0)" in checked()[0]
    app.selectbox(key="bench_size").set_value(96).run()
    assert not checked() and not app.exception


def test_the_network_can_be_taken_along(capsys):
    found = read("resnet26~C-SL-DE-AX~px64")
    counted = costs(found, 2)
    rows = list(csv.DictReader(io.StringIO(architecture_exports.as_csv(found, counted))))
    sums = {name: sum(int(row[name]) for row in rows[:-1]) for name in blocks.METRICS}
    assert sums == {name: int(rows[-1][name]) for name in blocks.METRICS} == measure(counted.whole)
    assert architecture_exports.figure(found, counted, 2, "png").startswith(b"\x89PNG")
    assert b"<svg" in architecture_exports.figure(found, counted, 2, "svg")
    exec(architecture_exports.snippet(found, 2), {})
    ours, theirs = (re.findall(r"\d+", line) for line in capsys.readouterr().out.splitlines())
    assert ours == theirs == [str(measure(counted.whole)[name]) for name in ("params", "flops")]
