"""Commands that take long ask first whether they can write what they find."""

import re

import pytest

from lambda_core.benchmark import __main__ as benchmark
from lambda_core.engines import measure
from lambda_core.tables import __main__ as tables

COMMANDS = {
    "tables": (tables.main, []),
    "benchmark": (benchmark.main, ["models"]),
    "engines.measure": (measure.main, []),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("place", "reason"), [("no/such/folder/x.json", "there is no folder '.*such/folder'"), ("", "it is a folder")]
)
def test_a_file_that_cannot_be_written(name, place, reason, tmp_path, capsys):
    main, arguments = COMMANDS[name]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--json", str(tmp_path / place)])
    assert stopped.value.code == 2  # 1 would say that a figure is wrong
    out, err = capsys.readouterr()
    assert not out
    assert re.search(rf"argument --json: '.*' cannot be written: {reason}", err)
