"""Kernels of E wherever they are drawn: summed over u, and called so; minus is named by its colour."""

import io

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from explorer import forming, images, loading, scope_kernels, tiles
from lambda_core import build, load_checkpoint
from lambda_core.checkpoints import zoo


@pytest.mark.parametrize(
    ("network", "words"), [("micro_u4", "16 sums of 4 kernels over u"), ("micro_ccll", "16 kernels")]
)
def test_kernels_are_summed_over_u_and_called_so(network, words):
    model = load_checkpoint(network).model
    sheet = scope_kernels.sheets(model)[0]
    assert sheet.says.startswith(f"{words}, ")
    picture = images.gallery_picture("coffee")
    found = forming.formed(str(zoo()[network]), picture.key, sheet.path, picture.image)
    embeddings = model.get_submodule(sheet.path).embeddings.detach()
    np.testing.assert_allclose(found.embeddings, embeddings.sum(1).numpy(), atol=1e-6)
    assert found.dim_u == embeddings.shape[1]


@pytest.mark.parametrize(("scheme", "colour"), [("light", "grey"), ("dark", "white")])
def test_a_network_on_its_way_names_the_colours_of_the_scheme(scheme, colour):
    def page(scheme):
        import numpy as np

        from explorer import forming

        kernels = np.ones((2, 3, 3))
        forming.show(forming.Formed(kernels, None, None, (), np.ones(1), 4), (0.5, 1.0), scheme)

    caption = AppTest.from_function(page, args=(scheme,)).run().caption[0].value
    assert caption == f"**E**, 2 sums of 4 kernels over u, 3 × 3: from −0.5 ({colour}) to 0.5 (orange)"


def test_the_kernels_of_every_layer_are_pictures():
    model = load_checkpoint("lambda_resnet_mini").model
    found = scope_kernels.sheets(model)
    assert [sheet.path for sheet in found] == [info.path for info in loading.lambda_layers(model)]
    embeddings = model.get_submodule(found[0].path).embeddings.detach().sum(1).numpy()
    drawn = np.asarray(Image.open(io.BytesIO(found[0].png)))
    cell = scope_kernels.PIXELS // (scope_kernels.COLUMNS * 11)
    colours = tiles.signed(embeddings, "position", found[0].limit)
    step = 11 * cell + max(2, cell // 2)
    for k in (0, 5, 15):  # a pixel in the middle of each number
        top, left = k // 4 * step + cell // 2, k % 4 * step + cell // 2
        one = drawn[top : top + 11 * cell : cell, left : left + 11 * cell : cell, :3]
        np.testing.assert_array_equal(one, colours[k])
    inner = (embeddings[:, 4:7, 4:7] ** 2).sum() / (embeddings**2).sum()
    assert found[0].near == pytest.approx(inner, rel=1e-4)
    assert scope_kernels.near(np.ones((2, 1, 1))) == 1 and scope_kernels.near(np.zeros((2, 5, 5))) == 0
    assert scope_kernels.sheets(build("lambda_resnet_mini", position=False)) == []
