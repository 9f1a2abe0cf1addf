"""The mean of networks: of every weight, and of like networks alone."""

import errno

import pytest
import torch

from lambda_core import LambdaLayer, build, load_checkpoint, save_checkpoint
from lambda_core.checkpoints import Checkpoint, to_lucidrains
from lambda_core.training import average
from tests.tiny import TINY


def saved(path, seed, **changes):
    torch.manual_seed(seed)
    architecture = {"name": TINY.model, "overrides": TINY.overrides | changes}
    model = build(architecture["name"], **architecture["overrides"])
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
    save_checkpoint(path, model, architecture=architecture, card={"seed": seed}, dtype=torch.float32)
    return model.state_dict()


def test_every_weight_and_statistic_is_the_mean(tmp_path, capsys):
    states = [saved(tmp_path / f"{seed}.safetensors", seed) for seed in range(3)]
    average.main(
        [*(str(tmp_path / f"{seed}.safetensors") for seed in range(3)), "--out", str(tmp_path / "mean.safetensors")]
    )
    said = f"{tmp_path / 'mean.safetensors'} holds the mean of 3 networks, as safetensors, with the last one's card\n"
    assert capsys.readouterr().out == said
    found = load_checkpoint(tmp_path / "mean.safetensors")
    for name, tensor in found.model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (states[0][name] + states[1][name] + states[2][name]) / 3)
    assert found.card["seed"] == 2 and found.card["averaged"] == ["0.safetensors", "1.safetensors", "2.safetensors"]


def test_a_table_that_layers_share_is_averaged_once_and_the_networks_stay():
    states, networks = [], []
    for seed in range(2):
        torch.manual_seed(seed)
        model = build("lambda_resnet_micro", share_embeddings=True, depths=(1, 1, 3, 1))
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        networks.append(Checkpoint(model, card={"architecture": {}}))
    found = average.average(networks)
    for name, tensor in found.model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (states[0][name] + states[1][name]) / 2)
    for network, before in zip(networks, states, strict=True):
        assert all(torch.equal(tensor, before[name]) for name, tensor in network.model.state_dict().items())


def test_a_state_and_the_weights_of_one_run_are_alike(whole, tmp_path):
    """One has its numbers in tuples, the other in lists."""
    out = tmp_path / "mean.safetensors"
    average.main([str(whole / "state.pt"), str(whole / "last.safetensors"), "--out", str(out)])
    found, one = load_checkpoint(out).model.state_dict(), load_checkpoint(whole / "state.pt").model.state_dict()
    assert all(torch.allclose(found[name], one[name], atol=1e-3) for name in one)
    assert out.stat().st_mode & 0o777 == (whole / "state.pt").stat().st_mode & 0o777


def test_unlike_networks_have_none(tmp_path):
    saved(tmp_path / "one.safetensors", 0)
    saved(tmp_path / "two.safetensors", 0, widths=(8, 8, 8, 16))
    files = [str(tmp_path / "one.safetensors"), str(tmp_path / "two.safetensors")]
    with pytest.raises(SystemExit, match="their architecture differ"):
        average.main([*files, "--out", str(tmp_path / "mean.safetensors")])
    with pytest.raises(SystemExit, match="two or more"):
        average.main([files[0], "--out", str(tmp_path / "mean.safetensors")])
    assert not (tmp_path / "mean.safetensors").exists()


def test_single_layers_are_no_networks(tmp_path):
    file = tmp_path / "layer.pt"
    torch.save(to_lucidrains(LambdaLayer(16, scope=5)), file)
    with pytest.raises(SystemExit, match="one lambda layer, which sees no pictures") as stopped:
        average.main([str(file), str(file), "--out", str(tmp_path / "mean.safetensors")])
    assert stopped.value.code == 2


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "one.safetensors"
    saved(file, 0)
    monkeypatch.setattr(average, "save_checkpoint", full)
    with pytest.raises(SystemExit, match=r"mean\.safetensors could not be written: there is no room"):
        average.main([str(file), str(file), "--out", str(tmp_path / "mean.safetensors")])
