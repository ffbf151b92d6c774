import torch

from circuitbase.tracing.head_roles.looking_back import attention_back
from circuitbase.tracing.head_roles.roles import Role


def patterns_of(*offsets: int, n_positions: int) -> torch.Tensor:
    """Returns patterns of one layer whose heads look back by so many positions, or at the first one."""
    found = torch.zeros(2, 1, len(offsets), n_positions, n_positions)
    for head, offset in enumerate(offsets):
        for query in range(n_positions):
            found[:, 0, head, query, max(0, query - offset)] = 1
    return found


def test_each_role_is_one_exact_distance() -> None:
    found = attention_back(patterns_of(1, 5, 4, 3, n_positions=11), period=5, start=1)
    assert found[Role.PREVIOUS_TOKEN].tolist() == [[1, 0, 0, 0]]
    assert found[Role.DUPLICATE_TOKEN].tolist() == [[0, 1, 0, 0]]
    assert found[Role.INDUCTION].tolist() == [[0, 0, 1, 0]]


def test_looking_at_the_token_before_the_sequence_is_no_previous_token() -> None:
    patterns = torch.zeros(1, 1, 1, 7, 7)
    patterns[..., 0] = 1
    found = attention_back(patterns, period=3, start=1)
    assert all(score == 0 for score in found.values())


def test_every_position_of_the_second_half_counts_alike() -> None:
    patterns = torch.zeros(1, 1, 1, 6, 6)
    patterns[0, 0, 0, 3, 1] = 0.5  # positions 3, 4, 5 look back for induction, to 1, 2, 3
    patterns[0, 0, 0, 5, 3] = 1.0
    assert attention_back(patterns, period=3, start=0)[Role.INDUCTION].item() == 0.5
