"""Kernels of E wherever they are drawn: summed over u, and called so; minus is named by its colour."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from explorer import forming, images, scope_kernels
from lambda_core import load_checkpoint
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
