import torch

from molfusion.language.layout import IGNORED, Segment, join


def segment(values, mask, labels=None):
    x = torch.tensor(values, dtype=torch.float32).unsqueeze(-1)
    ids = torch.full(x.shape[:2], IGNORED) if labels is None else torch.tensor(labels)
    return Segment(x, torch.tensor(mask, dtype=torch.bool), ids)


def test_rows_close_up_and_padding_goes_to_the_left():
    first = segment([[1, 2], [3, 99]], [[1, 1], [1, 0]])
    second = segment([[4, 99, 99], [5, 6, 7]], [[1, 0, 0], [1, 1, 1]], [[40, 50, 50], [51, 61, 71]])
    x, mask, labels = join([first, second], width=4)
    assert x.squeeze(-1).tolist() == [[0, 1, 2, 4], [3, 5, 6, 7]]
    assert mask.tolist() == [[False, True, True, True], [True] * 4]
    assert labels.tolist() == [[IGNORED, IGNORED, IGNORED, 40], [IGNORED, 51, 61, 71]]


def test_a_wider_frame_is_filled_with_padding():
    x, mask, _ = join([segment([[1, 2]], [[1, 1]]), segment([[9]], [[0]])], width=3)
    assert x.squeeze(-1).tolist() == [[0, 1, 2]]
    assert mask.tolist() == [[False, True, True]]
