"""The equations of the explorer: what they say is what the code shown beside them computes."""

import inspect
import json
import re
import shutil
import subprocess

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from explorer import formula
from explorer.components.formula import assets
from explorer.formula import EQUATIONS, MEANING
from explorer.source import LETTERS, excerpt
from lambda_core import positions
from lambda_core.engines import ENGINES, attention, einsum
from lambda_core.functional import lambda_layer, normalize_keys
from lambda_core.switching import HALVES
from tests.node import NODE
from tests.test_lambda_canvas import FOLDER
from tests.test_pages import start

SIZE, SIZES = (3, 4), {"b": 2, "h": 3, "k": 5, "v": 7, "u": 2, "n": 12, "m": 12}
ONE_LINE = [name for name, equation in EQUATIONS.items() if equation.line]


def shape(axes):
    return tuple(SIZES[letter] for letter in axes)


@pytest.mark.parametrize("name", ONE_LINE)
def test_the_einsum_line_stands_in_the_code_that_is_shown(name):
    equation = EQUATIONS[name]
    assert any(f'"{equation.subscripts}"' in excerpt(function).text for function in equation.code)


@pytest.mark.parametrize("name", EQUATIONS)
def test_terms_tensors_and_words_speak_of_the_same_letters(name):
    equation = EQUATIONS[name]
    typeset = {letter for term in equation.terms for letter in term.partition(":")[2] + term[1:] * (term[0] in "#∑")}
    typeset -= {"^"}
    assert typeset - {"b"} == {letter for _, axes in equation.tensors for letter in axes} - {"b"}
    assert not equation.line or len(equation.letters) == len(equation.tensors)
    for term in equation.terms:  # a symbol's indices are its axes
        symbol, _, indices = term.partition(":")
        for other, axes in equation.tensors:
            if indices and other == symbol:
                assert set(indices) - {"^"} == set(axes) - {"b"}


def test_each_einsum_gives_what_the_library_gives():
    torch.manual_seed(0)
    q, k, v = (torch.randn(shape(axes), dtype=torch.float64) for axes in ("bhnk", "bmku", "bmvu"))
    table = torch.randn(5, 2, 3, 3, dtype=torch.float64)
    pairs = positions.gather(table, SIZE)
    keys, lambdas = normalize_keys(k), einsum.position_lambdas(v, table, SIZE)
    wanted = {
        "position": ((pairs, v), lambdas),
        "output": ((q, lambdas), ENGINES["einsum"](q, v, table, SIZE)),
        "attention": ((q, pairs), attention.position_weights(q, table, SIZE)),
    }
    for name, (factors, result) in wanted.items():
        torch.testing.assert_close(torch.einsum(EQUATIONS[name].subscripts, *factors), result)
    content = torch.einsum(EQUATIONS["content"].subscripts, keys, v)
    torch.testing.assert_close(torch.einsum("bhnk,bkv->bhnv", q, content), lambda_layer(q, k, v))
    assert {*wanted, "content"} == set(ONE_LINE)


@given(some.lists(some.integers(1, 9), min_size=7, max_size=7))
def test_the_cost_is_what_the_code_counts(numbers):
    b, h, k, v, u, n, m = numbers
    terms = [
        {"#": str(dict(zip(LETTERS, numbers, strict=True)).get(term[1:]))}.get(term[0], term)
        for term in EQUATIONS["cost"].terms
    ]
    written = " ".join(terms).replace(" ", "*").replace("*+*", "+").replace("(*", "(").replace("*)", ")")
    assert eval(written) == einsum.cost((b, h, n, k), (b, m, v, u), (k, u, 3, 3), (1, n))[0]


@pytest.mark.parametrize("function", [einsum.position_lambdas, ENGINES["einsum"], einsum.cost, lambda_layer])
def test_the_source_is_the_real_one_and_its_numbers_too(function):
    found = excerpt(function)
    file = inspect.getsourcefile(function)
    with open(file) as opened:
        real = opened.read().splitlines()
    for line in filter(None, found.lines):
        assert "".join(text for text, _, _ in line[1]) == real[line[0] - 1]
    assert file.endswith(found.file) and not found.file.startswith("/")


def letters_of(function, containing):
    lines = [line for line in filter(None, excerpt(function).lines) if containing in "".join(p[0] for p in line[1])]
    return "".join(letter for _, _, letter in lines[0][1])


def test_index_letters_are_marked_and_names_of_tensors_are_not():
    assert letters_of(einsum.position_lambdas, "return") == "kunmbmvubnkv"
    assert letters_of(einsum.position_lambdas, "def ") == ""  # v is a tensor here
    assert letters_of(einsum.position_lambdas, "λp_n") == "nmunmkumvu" + "bmvu" + "ku" + "bnkv"
    assert letters_of(einsum.cost, "= q") == "bhnk"
    assert letters_of(einsum.cost, "= v") == "mu"
    assert letters_of(einsum.cost, "return") == "bnkmuh" + "nmku" + "bnk"
    assert letters_of(lambda_layer, "for all queries") == "bmkubmvubkv"


def test_what_is_long_is_cut_and_the_gap_is_shown():
    lines = excerpt(lambda_layer).lines
    assert lines.count(None) == 2  # arguments, docstring
    assert "This is the definition" not in excerpt(lambda_layer).text
    assert None not in excerpt(ENGINES["einsum"]).lines


def test_sizes_are_those_of_the_layer():
    layer = {"height": 3, "width": 4, "heads": 2, "dim_k": 5, "dim_v": 6, "dim_u": 1}
    assert formula.sizes(layer) == {"b": 1, "h": 2, "k": 5, "v": 6, "u": 1, "n": 12, "m": 12}


def test_every_letter_has_a_meaning_and_the_component_is_one_module():
    assert list(MEANING) == list(LETTERS)
    js = assets()["js"]
    assert js.count("export default") == 1
    assert "import " not in js.replace("lambda_core import", "")


def test_a_layer_without_a_half_has_no_equation_of_it():
    assert formula.equations(HALVES) == EQUATIONS
    assert "content" not in formula.equations(["position"]) and "position" in formula.equations(["position"])
    assert formula.equations(()) == {}
    of_content = formula.equations(["content"])
    assert of_content and not any(symbol == "kernels" for one in of_content.values() for symbol, _ in one.tensors)
    for equation in of_content.values():
        assert any(f'"{equation.subscripts}"' in excerpt(function).text for function in equation.code)


DRAWN = """
import { readFileSync } from "node:fs";
import { equationHtml, einsumHtml, namedHtml } from "./formula/typeset.js";
const drawn = Object.entries(JSON.parse(readFileSync("packed.json"))).map(([name, shown]) => [name, {
  equation: equationHtml(shown), einsum: einsumHtml(shown), named: namedHtml(shown),
}]);
console.log(JSON.stringify(Object.fromEntries(drawn)));
"""


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Each equation as the page typesets it."""
    folder = tmp_path_factory.mktemp("drawn")
    for component in ("lambda_canvas", "formula"):
        shutil.copytree(FOLDER.parent / component, folder / component, ignore=shutil.ignore_patterns("*.py", "*.css"))
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "drawn.js").write_text(DRAWN)
    packed = {name: formula._packed(equation) for name, equation in EQUATIONS.items()}
    (folder / "packed.json").write_text(json.dumps(packed))
    done = subprocess.run([NODE, "drawn.js"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_weights_of_the_position_half_are_not_called_as_those_of_the_layer(drawn):
    """Step 8 has w for q · (K̄ + E), on the same page."""
    both, alone = (formula.equations(halves)["attention"] for halves in (HALVES, ["position"]))
    assert "of the position half" in both.title and "The content half adds q · K̄" in both.says
    assert "adds" not in alone.says and "all of w" in alone.says
    found = drawn["attention"]
    assert 'w<span class="both"><span>p,<span data-axis="h">h</span></span>' in found["equation"]
    assert ">wp</b> = einsum" in found["einsum"]
    assert 'y<span class="both"><span><span data-axis="h">h</span></span>' in drawn["output"]["equation"]


def test_every_tensor_is_named_in_words(drawn):
    for name, equation in EQUATIONS.items():
        items = drawn[name]["named"].split("<li>")[1:]
        assert [re.search(r'data-sym="(\w+)"', item)[1] for item in items] == [symbol for symbol, _ in equation.tensors]
        assert all(re.search("<span>[a-z ]+[:,] [^<]+</span></li>", item) for item in items)
    assert "position embeddings" in drawn["cost"]["named"] and "offset" in drawn["cost"]["named"]
    assert set(formula.TENSORS) == {symbol for equation in EQUATIONS.values() for symbol, _ in equation.tensors}


def offered(app):
    """The section's equations, and the one that it opens at; None where the page has no section."""
    drawn = [json.loads(one.proto.json) for one in app.get("bidi_component") if one.proto.component_name == "formula"]
    return (set(drawn[0]["equations"]), drawn[0]["open"]) if drawn else None


@pytest.mark.parametrize("page", ["scope", "live", "attributions", "predictions", "lambda_layer", "content_position"])
def test_pages_show_equations_that_the_network_has(page):
    names, opened = offered(start(f"../pages/{page}.py", network="micro_content", step=5))
    assert names == {"content", "output"} and opened in names


@pytest.mark.parametrize("page", ["live", "attributions", "predictions"])
def test_a_network_without_lambda_layers_has_no_equations_of_them(page):
    assert offered(start(f"../pages/{page}.py", network="resnet_small")) is None
    assert offered(start(f"../pages/{page}.py")) is not None
