"""Costs against PyTorch's own count of FLOPs, parameters against `numel`, memory against what autograd really saves."""

from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn, profiler
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from lambda_core import LambdaLayer, LambdaLayer1d, build
from lambda_core.cost import FORMULAS, MEMORY, Term, memory, profile, total
from lambda_core.cost.engines import KEEPS, LETTERS, WORKS, work
from lambda_core.cost.profiling import meta_copy
from lambda_core.cost.terms import of_shape
from lambda_core.engines import ENGINES, convolution, gemm
from lambda_core.engines.auto import CONSTANTS, COSTS, MADE_FOR, PASSES
from lambda_core.layers import LAYERS, ConvolutionThen, LocalRelation, PatchwiseAttention
from lambda_core.step_time import constants

WITHIN_LAMBDA = "lambda times queries"


def counted(module, *shape):
    """FLOPs by PyTorch's counter, on the meta device."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        meta_copy(module).eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops()


def term(cost, name):
    return next(t.value for row in cost.rows for t in row.flops if t.name == name)


def test_a_term_is_its_own_derivation():
    position = Term("position lambda", "2·n·m·k·v·u", {"n": 3136, "m": 529, "k": 16, "v": 16, "u": 1})
    assert position.value == 2 * 3136 * 529 * 256
    assert str(position) == "position lambda: 2·n·m·k·v·u = 2·3136·529·16·16·1 = 849,379,328"
    assert Term("sum", "r²·k + 3·k + 1", {"r": 5, "k": 2}).value == 57
    assert str(Term("bias", "d", {"d": 8})) == "bias: d = 8"
    with pytest.raises(KeyError):
        _ = Term("no value", "k", {}).value


@pytest.mark.parametrize(
    ("shape", "formula"),
    [
        ((8, 4, 3, 3), "d·c·r²"), ((8, 4, 1, 1), "d·c"), ((8, 4, 3, 5), "d·c·r·s"),
        ((8, 4, 1, 7), "d·c·s"), ((8, 4, 5), "d·c·r"), ((8,), "d"), ((1, 1), "d·c"),
    ],
)  # fmt: skip
def test_shapes_as_formulas(shape, formula):
    found = of_shape("weight", "dcrs"[: len(shape)], shape)
    assert (found.formula, found.value) == (formula, torch.Size(shape).numel())


@pytest.mark.parametrize(("name", "flops"), [("resnet50", 8_178_368_512), ("resnet101", None)])
def test_a_plain_resnet_counts_as_pytorch_does(name, flops):
    with torch.device("meta"):
        model = build(name)
    cost = profile(model, 224)
    assert cost.flops == counted(model, 3, 224, 224)
    assert flops in (None, cost.flops)
    assert cost.stored == 0 and not cost.uncounted
    assert cost.params == sum(p.numel() for p in model.parameters())


MODULES = {
    "strided, grouped": (nn.Conv2d(6, 9, (3, 5), stride=2, groups=3), (6, 11, 13)),
    "transposed": (nn.ConvTranspose2d(6, 4, 3, stride=2), (6, 5, 4)),
    "on sequences": (nn.Conv1d(4, 6, 3), (4, 9)),
    "linear, one vector": (nn.Linear(5, 7), (5,)),
    "linear, many vectors": (nn.Linear(5, 7), (4, 5)),
}


@pytest.mark.parametrize("name", MODULES)
def test_simple_layers_count_as_pytorch_does(name):
    module, (channels, *sides) = MODULES[name]
    cost = profile(module, tuple(sides), channels=channels)
    assert cost.flops == counted(module, channels, *sides)
    assert cost.params == sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("einsum", {"scope": 13}),  # it sums over all pairs, as m = min(r, H)² does where r is at least H
        ("einsum", {"scope": None, "size": (7, 7), "dim_u": 2}),
        ("convolution", {"scope": 5, "dim_u": 3, "position_bias": True}),  # over the whole window: r is at most H
        ("convolution", {"scope": 7, "stride": 2, "dim_out": 8, "norm_qv": False, "dim_u": 2}),
    ],
)
def test_a_lambda_layer_counts_as_pytorch_does(engine, options, monkeypatch):
    monkeypatch.setitem(  # what the convolution takes, not what our operator says of it
        ENGINES, "convolution", lambda q, v, table, size, content: convolution.output(q, v, table, content, size)
    )
    layer = LambdaLayer(12, **{"dim_out": 12, **options}, dim_k=3, heads=2, engine=engine)
    cost = profile(layer, 7, channels=12)
    assert cost.flops == counted(layer, 12, 7, 7)
    assert cost.params == sum(p.numel() for p in layer.parameters())


@pytest.mark.parametrize("key_norm", ["softmax", "l2", "none"])
@pytest.mark.parametrize(("causal", "n"), [(False, 20), (True, 20), (True, 64), (True, 75)])
@pytest.mark.parametrize("position", [False, True])
def test_a_sequence_counts_as_pytorch_does(causal, n, key_norm, position):
    layer = LambdaLayer1d(
        12, dim_k=3, heads=2, scope=None, size=n, key_norm=key_norm, causal=causal, position=position, engine="gemm"
    )
    cost = profile(layer, (n,), channels=12)
    # Without softmax the λc of a causal layer are running sums of products, for which PyTorch counts nothing.
    unseen = term(cost, "content lambdas") if causal and key_norm != "softmax" else 0
    assert cost.flops == counted(layer, 12, n) + unseen
    assert cost.stored == (n * 3 * 6 if causal else 3 * 6)


ALONE = [layer for letter, layer in LAYERS.items() if letter not in "CL"]
SUM = "weights times values"  # a product and a sum, not an einsum: PyTorch counts nothing for it


@pytest.mark.parametrize("layer", ALONE)
@pytest.mark.parametrize("sides", [(8, 8), (9, 6)])
def test_every_other_layer_counts_as_pytorch_does(layer, sides):
    module = layer(16, 32, stride=2)
    cost = profile(module, sides, channels=16)
    flops = [t for row in cost.rows for t in row.flops]
    assert any(t.name == SUM for t in flops) == (layer in (LocalRelation, PatchwiseAttention))
    assert sum(t.value for t in flops if t.name != SUM) == counted(module, 16, *sides)
    assert cost.params == sum(p.numel() for p in module.parameters())
    assert not cost.uncounted
    twice = profile(module, sides, channels=16, batch=2)
    assert twice.stored == 2 * cost.stored and twice.flops == cost.flops


def test_every_engine_is_in_every_table():
    """What a new engine has to be in; on a CPU those made for another device are another one."""
    here = set(ENGINES) - set(MADE_FOR)
    assert set(COSTS) == set(KEEPS) == set(CONSTANTS["cuda"]) == set(ENGINES)
    assert set(CONSTANTS["cpu"]) == {name.partition(",")[0] for name in WORKS} == here
    assert set(MADE_FOR) | set(PASSES) | set(LETTERS) <= set(ENGINES)
    assert {kind for kind in MEMORY if kind.startswith("lambda, ")} == {f"lambda, {name}" for name in here}
    assert set(constants()) == set(MEMORY)
    for name in here:
        formulas, own = work(name, dict.fromkeys("bhkvus", 4) | {"r": 3})
        assert set(own) - {"n"} <= set(LETTERS.get(name, ()))
        assert all(Term(what, formula, dict.fromkeys("bhkvus", 4) | own).value for what, formula in formulas.items())


def test_an_engine_whose_work_is_not_known_is_refused(monkeypatch):
    monkeypatch.setitem(WORKS, "abacus", {"beads": "t·n"})
    with pytest.raises(ValueError, match=r"^the letters in the formulas of engine 'abacus' have no values$"):
        work("abacus", dict.fromkeys("bhkvus", 4) | {"r": 3})


def test_every_layer_has_a_formula():
    known = {*FORMULAS, ConvolutionThen}  # the last is two layers in a row
    assert all(known.intersection(layer.__mro__) for layer in LAYERS.values())


def test_the_halves_of_a_lambda_layer():
    def flops(**options):
        return profile(LambdaLayer(8, dim_k=4, scope=3, **options), 6, channels=8).flops

    n, k, v = 36, 4, 2
    assert flops() - flops(content=False) == 2 * n * 8 * k + 2 * n * k * v  # keys' projection and λc
    assert flops() - flops(position=False) == 2 * n * 9 * k * v
    layer = LambdaLayer(8, dim_k=4, scope=3)
    layer.position = False  # the switch
    assert profile(layer, 6, channels=8).flops == flops(position=False)


def test_the_context_counts_what_the_map_holds():
    def m(layer, *sides):
        flops = {t.name: t for t in profile(layer, sides, channels=4).rows[0].flops}
        return flops["position lambda"].values["m"]

    assert m(LambdaLayer(4, scope=5), 9, 3) == 15
    assert m(LambdaLayer(4, scope=None, size=(8, 8)), 6, 4) == 24
    assert m(LambdaLayer1d(4, scope=5), 9) == 5
    assert m(LambdaLayer1d(4, scope=5, causal=True), 9) == 3
    assert m(LambdaLayer1d(4, scope=None, size=12, causal=True), 9) == 9


def storages(function, *tensors):
    """Sizes of what autograd keeps for the backward pass, by where it lies, index tensors left out; and the output."""
    kept = {}

    def pack(tensor):
        if tensor.dtype.is_floating_point:
            kept[tensor.untyped_storage().data_ptr()] = tensor  # the tensor, so that its storage is not used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = function(*tensors)
    return {place: t.untyped_storage().nbytes() // t.element_size() for place, t in kept.items()}, y


def saved(function, *tensors):
    """Numbers that autograd keeps, without the inputs themselves, and numbers of the output."""
    sizes, y = storages(function, *tensors)
    own = {tensor.untyped_storage().data_ptr() for tensor in tensors if isinstance(tensor, Tensor)}
    return sum(size for place, size in sizes.items() if place not in own), y.numel()


@pytest.mark.parametrize("layer", ALONE)
def test_layers_keep_what_is_stored_by_their_formulas(layer):
    """All of it is kept, and where maps or windows are the largest thing that is kept, it is among the terms."""
    module, x = layer(16), torch.randn(2, 16, 12, 12, requires_grad=True)
    sizes, _ = storages(module, x)
    terms = [t.value for row in profile(module, 12, channels=16, batch=2).rows for t in row.stored]
    assert sum(terms) <= sum(sizes.values())
    largest = max(sizes.values())
    if largest > 2 * x.numel():
        assert {largest, 2 * largest}.intersection(terms)  # keys and values of a window are one term


def draw(*shapes):
    return [torch.randn(*shape, requires_grad=True) for shape in shapes]


@given(
    st.sampled_from(sorted(KEEPS)),
    st.tuples(*[st.integers(1, 4)] * 5),
    st.sampled_from([1, 3, 9]),
    st.integers(3, 6),
)
def test_engines_keep_what_their_formulas_say(engine, sizes, r, side):
    b, h, k, v, u = sizes
    n = side**2
    q, values, table = draw((b, h, n, k), (b, n, v, u), (k, u, r, r))
    # the table may be cropped or padded into a copy, and q and v may be copied into another layout
    inside, _ = saved(ENGINES[engine], q, values, table, (side, side))
    letters = {"b": b, "h": h, "n": n, "k": k, "v": v, "u": u}
    formulas = sum(Term(name, formula, letters).value for name, formula in KEEPS[engine].items())
    slack = q.numel() + values.numel() + k * u * (2 * side - 1) ** 2
    assert formulas <= inside <= formulas + slack


ATTENTIONS = {
    "global attention": lambda q, k, v: (q @ k.mT).softmax(-1) @ v,
    "linear attention": lambda q, k, v: q.softmax(-1) @ (k.softmax(-2).mT @ v),
    "flash attention": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
}


@pytest.mark.parametrize("kind", ATTENTIONS)
def test_attention_keeps_what_its_formula_says(kind):
    b, h, side, depth = 2, 3, 6, 8
    tensors = draw(*[(b, h, side**2, depth)] * 3)
    inside, output = saved(ATTENTIONS[kind], *tensors)
    if kind == "flash attention":
        inside -= output  # PyTorch's kernel keeps its output
    found = memory(kind, side=side, batch=b, heads=h, k=depth, v=depth, bytes_an_entry=1)
    inputs = sum(t.value for t in found.rest if t.name in ("queries", "keys", "values", "output"))
    formulas = found.bytes - inputs
    assert formulas <= inside <= formulas + 3 * tensors[0].numel()  # at most a copy of each input


def most_at_once(function, *tensors):
    """The most numbers that are allocated at once beyond what is kept, in the forward or in the backward pass."""

    def allocated(run):
        with profiler.profile(activities=[profiler.ProfilerActivity.CPU], profile_memory=True) as record:
            result = run()
        events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
        levels = list(accumulate(e.nbytes() // 4 for e in sorted(events, key=lambda e: e.start_ns())))
        return result, levels[-1], max(levels)

    y, kept, forward = allocated(lambda: function(*tensors))
    dy = torch.ones_like(y)
    _, _, backward = allocated(lambda: torch.autograd.grad(y, tensors, dy))
    return max(forward - kept, backward)


@pytest.mark.parametrize("r", [5, 19])
@pytest.mark.parametrize("engine", sorted(set(KEEPS) - set(MADE_FOR)))
def test_engines_work_with_what_their_formulas_say(engine, r):
    b, h, k, v, u, side = 3, 4, 8, 32, 1, 14
    tensors = draw((b, h, side**2, k), (b, side**2, v, u), (k, u, r, r))
    measured = most_at_once(lambda *t: ENGINES[engine](*t, (side, side)), *tensors)
    found = memory(f"lambda, {engine}", side=side, batch=b, heads=h, k=k, v=v, u=u, scope=r).work
    assert 0.4 < measured / total(found) < 1.1


@pytest.mark.parametrize(("b", "v", "s", "r"), [(8, 16, 56, 23), (8, 32, 28, 23), (2, 16, 48, 95), (1, 16, 7, 3)])
def test_the_columns_of_a_tile_are_those_of_the_engine(b, v, s, r):
    table, size = torch.zeros(16, 1, r, r), (s, s)
    columns = gemm._width(gemm._Plan(table, size), torch.zeros(b, s * s, v, 1), torch.zeros(b, 16, v))
    assert work("gemm", {"b": b, "h": 4, "k": 16, "v": v, "u": 1, "s": s, "r": r})[1]["w"] == columns


@pytest.mark.parametrize("kind", ["global attention", "flash attention"])
def test_attention_works_with_what_its_formula_says(kind):
    b, h, side, depth = 2, 2, 10, 16
    measured = most_at_once(ATTENTIONS[kind], *draw(*[(b, h, side**2, depth)] * 3))
    work = memory(kind, side=side, batch=b, heads=h, k=depth, v=depth).work
    assert 0.4 < measured / total(work) < 1.1


def test_the_peak_counts_the_work_of_one_layer():
    one, three = (memory("global attention", side=8, layers=layers) for layers in (1, 3))
    assert three.bytes == 3 * one.bytes
    assert three.peak - three.bytes == one.peak - one.bytes == 4 * total(one.work)
    small = memory("global attention", side=4)
    assert (one + small).work == (small + one).work == one.work


def test_memory_of_the_papers_layers():
    sizes = {"side": 56, "batch": 128, "layers": 3}
    maps = memory("global attention", **sizes).maps
    assert str(maps[0]) == "attention maps: l·b·h·n² = 3·128·8·3136² = 30,211,571,712"
    assert memory("axial attention", **sizes).map_bytes * 56 == memory("global attention", **sizes).map_bytes * 2
    assert str(memory("local attention", scope=99, **sizes).maps[0]).startswith(
        "attention maps: l·b·h·n·m = 3·128·8·3136·9801"
    )
    beyond, all_there_is = (memory("local attention", scope=r, **sizes).map_bytes for r in (199, 111))
    assert beyond == all_there_is
    assert memory("flash attention", **sizes).map_bytes == memory("lambda, convolution", **sizes).map_bytes == 0
    apart, shared = (memory("lambda, einsum", shared=s, **sizes).map_bytes for s in (False, True))
    assert apart == 3 * shared == 3 * 3136**2 * 16 * 4
    both = memory("linear attention", side=4) + memory("linear attention", side=2)
    assert both.bytes == memory("linear attention", side=4).bytes + memory("linear attention", side=2).bytes


@pytest.mark.parametrize("kind", MEMORY)
def test_memory_grows_with_every_size(kind):
    smaller = memory(kind, side=8, batch=2, heads=2, k=4, v=4, layers=2)
    for larger in ({"side": 9}, {"batch": 3}, {"k": 5}, {"v": 5}, {"layers": 3}):
        sizes = {"side": 8, "batch": 2, "heads": 2, "k": 4, "v": 4, "layers": 2} | larger
        assert memory(kind, **sizes).bytes > smaller.bytes, larger


def test_memory_says_what_it_does_not_know():
    with pytest.raises(
        ValueError, match=r"^no memory formula is called 'attention'; there are global attention, axial"
    ):
        memory("attention", side=8)
    with pytest.raises(ValueError, match=r"^b must be at least 1, not 0$"):
        memory("global attention", side=8, batch=0)


@pytest.mark.parametrize("engine", ["auto", *sorted(set(ENGINES) - {"einsum"})])
@pytest.mark.parametrize(
    ("options", "side"), [({"scope": 5}, 9), ({"scope": 23, "dim_u": 2}, 12), ({"scope": None}, 8)]
)
def test_pytorchs_counter_sees_the_position_part_of_every_engine(engine, options, side):
    layer = LambdaLayer(32, engine=engine, **({"size": (side, side)} if options["scope"] is None else {}), **options)
    x = torch.randn(3, 32, side, side)
    with FlopCounterMode(display=False) as counter:
        layer.eval()(x)
    assert counter.get_total_flops() == 3 * profile(layer, side, channels=32).flops


def test_a_network_is_profiled_with_its_own_channels():
    grey, colour = (profile(build("lambda_resnet_micro", in_chans=c), 64) for c in (1, 3))
    assert 0 < colour.params - grey.params == 2 * 9 * 24  # the first convolution, 3 x 3 to 24 channels


def test_a_parameter_that_one_layer_has_twice_counts_once():
    layer = LambdaLayer(16, 16, heads=1, norm_qv=False, scope=3)
    layer.to_v.weight = layer.to_k.weight
    assert profile(layer, 8, channels=16).params == sum(p.numel() for p in layer.parameters())
