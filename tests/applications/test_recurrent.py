"""The recurrent network against a step written by hand; padding; who shares what."""

import copy

import pytest
import torch

from transferlab import InputError, fit, freeze
from transferlab.applications.speech import Recurrent, Transcriber, ctc_loss, small_gru
from transferlab.data import MemoryDataset


def sounds(n: int = 3, mels: int = 4, frames: int = 6) -> torch.Tensor:
    return torch.rand(n, 1, mels, frames, generator=torch.Generator().manual_seed(0))


def gru_step(x, h, w_x, w_h, b_x, b_h):
    """One step of a gated recurrent unit, as torch's documentation defines it."""
    reset_x, update_x, new_x = (x @ w_x.T + b_x).chunk(3, dim=1)
    reset_h, update_h, new_h = (h @ w_h.T + b_h).chunk(3, dim=1)
    reset, update = (reset_x + reset_h).sigmoid(), (update_x + update_h).sigmoid()
    new = (new_x + reset * new_h).tanh()
    return (1 - update) * new + update * h


def by_hand(model: Recurrent, x: torch.Tensor) -> torch.Tensor:
    """The states of both directions, step by step."""
    frames = ((x[:, 0] - 0.3) / 0.3).unbind(2)
    halves = []
    for ending, order in (("", frames), ("_reverse", frames[::-1])):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = [getattr(model.gru, f"{name}_l0{ending}") for name in names]
        h, states = torch.zeros(len(x), model.gru.hidden_size), []
        for frame in order:
            h = gru_step(frame, h, *weights)
            states.append(h)
        halves.append(torch.stack(states[::-1] if ending else states, dim=1))
    return torch.cat(halves, dim=2)


def test_states_equal_the_steps_written_by_hand():
    model, x = Recurrent(4, hidden=5), sounds()
    states = model(x)
    assert states.shape == (3, 6, 10) and model.width == 10
    assert torch.allclose(states, by_hand(model, x), atol=1e-6)


def test_padding_is_not_read():
    model, x = Recurrent(4, hidden=5), sounds()
    lengths = torch.tensor([6, 2, 4])
    states = model(x, lengths)
    assert states.shape == (3, 6, 10)
    for row, length in enumerate(lengths.tolist()):
        alone = model(x[row : row + 1, :, :, :length])
        assert torch.allclose(states[row, :length], alone[0], atol=1e-6)
        assert not states[row, length:].any()
    noise = x.clone()
    noise[1, :, :, 2:] = 9.0
    assert torch.equal(model(noise, lengths), states)


def test_without_lengths_every_frame_is_sound():
    model, x = Recurrent(4), sounds()
    assert torch.allclose(model(x), model(x, torch.tensor([6, 6, 6])), atol=1e-6)


def test_the_first_state_knows_the_last_frame():
    model, x = Recurrent(4), sounds()
    other = x.clone()
    other[:, :, :, -1] += 0.5
    assert not torch.allclose(model(x)[:, 0], model(other)[:, 0])


@pytest.mark.parametrize("lengths", [[6, 2], [6, 0, 2], [7, 1, 1]])
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(InputError, match="expected 3 numbers of frames, each 1 to 6"):
        Recurrent(4)(sounds(), torch.tensor(lengths))


def test_what_is_refused():
    with pytest.raises(InputError, match=r"shape \(N, 1, 5, frames\); found \(3, 1, 4, 6\)"):
        Recurrent(5)(sounds())
    with pytest.raises(InputError, match="hidden=0"):
        Recurrent(4, hidden=0)
    with pytest.raises(InputError, match="symbols=0"):
        Transcriber(Recurrent(4), 0)
    with pytest.raises(InputError, match="join=0"):
        Transcriber(Recurrent(4), 3, join=0)


# ---- the classifier ------------------------------------------------------------------------------


def test_the_classifier_is_head_of_the_mean_state():
    model, x = small_gru(7, (1, 4, 6), hidden=5), sounds()
    states = model.features.recurrent(x)
    assert torch.allclose(model(x), model.head(states.mean(dim=1)), atol=1e-6)
    assert (model.width, model.num_classes) == (10, 7)
    with pytest.raises(InputError, match=r"small_gru expects inputs of shape \(N, 1, 4, 6\)"):
        model(sounds(frames=5))


def test_frozen_recurrent_weights_do_not_move():
    model = small_gru(2, (1, 4, 6), hidden=5)
    frozen = freeze(model)
    data = MemoryDataset(sounds(8), torch.arange(8) % 2, ["a", "b"])
    head = model.head.weight.clone()
    fit(model, data, steps=3, lr=0.1, device="cpu")
    frozen.assert_unchanged()
    assert not torch.equal(model.head.weight, head)


# ---- the transcriber -----------------------------------------------------------------------------


def test_a_moment_is_the_mean_of_joined_states():
    transcriber, x = Transcriber(Recurrent(4, hidden=5), symbols=2, join=4), sounds()
    scores = transcriber(x)
    assert scores.shape == (3, 2, 3)  # 6 frames: 4 and the 2 that are left; 2 symbols and the blank
    states = transcriber.recurrent(x)
    first, rest = states[:, :4].mean(dim=1), states[:, 4:].mean(dim=1)
    expected = torch.stack([transcriber.head(first), transcriber.head(rest)], dim=1)
    assert torch.allclose(scores, expected, atol=1e-6)


def test_it_takes_over_the_recurrent_part_of_a_classifier():
    words = small_gru(5, (1, 4, 6))
    transcriber = Transcriber(copy.deepcopy(words.features.recurrent), symbols=3)
    assert torch.equal(transcriber.recurrent(sounds()), words.features.recurrent(sounds()))
    with torch.no_grad():
        transcriber.recurrent.gru.weight_ih_l0.zero_()
    assert words.features.recurrent.gru.weight_ih_l0.any()  # a copy


def test_it_learns_with_fit():
    data = MemoryDataset(sounds(4), torch.arange(4), ["1", "2", "12", "21"])
    texts = torch.tensor([[1, 0], [2, 0], [1, 2], [2, 1]])
    transcriber = Transcriber(Recurrent(4), symbols=2, join=2)

    def loss(model, batch):
        x, rows = batch
        return ctc_loss(model(x), texts[rows])

    history = fit(transcriber, data, epochs=60, lr=0.02, loss_fn=loss, device="cpu")
    assert history.loss[-1] < 0.3 * history.loss[0]
