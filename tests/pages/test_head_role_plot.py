from io import BytesIO

import numpy as np
from matplotlib.image import imread

from circuitbase.pages.head_role_plot import head_role_figure, head_role_png
from circuitbase.tracing.head_roles.roles import BOUNDS, HeadRoles, Role, RoleScores


def roles(n_layers: int = 2, n_heads: int = 3) -> HeadRoles:
    induction = np.linspace(0, 0.9, n_layers * n_heads).reshape(n_layers, n_heads)
    inhibition = np.full((n_layers, n_heads), np.nan)
    scores = {Role.INDUCTION: induction, Role.COPYING: -induction, Role.S_INHIBITION: inhibition}
    return HeadRoles({role: RoleScores(score, {}, {}) for role, score in scores.items()}, BOUNDS)


def maps(found: HeadRoles, *shown: Role):
    figure = head_role_figure(found, title="Heads of tiny", roles=shown or tuple(Role))
    return {axes.get_title(): axes for axes in figure.axes if axes.get_title()}


def test_there_is_a_map_for_each_role_that_was_measured() -> None:
    assert [*maps(roles())] == ["induction", "copying", "S-inhibition"]
    assert [*maps(roles(), Role.COPYING)] == ["copying"]


def test_heads_above_the_bound_are_framed_and_scores_written() -> None:
    induction = maps(roles())["induction"]
    assert len(induction.patches) == 3  # 0.54, 0.72 and 0.9 are above 0.4
    assert sorted(text.get_text() for text in induction.texts) == ["0.00", "0.18", "0.36", "0.54", "0.72", "0.90"]
    assert "-0.00" not in [text.get_text() for text in maps(roles())["copying"].texts]


def test_what_was_not_measured_is_grey_without_a_number() -> None:
    inhibition = maps(roles())["S-inhibition"]
    assert not inhibition.texts
    assert np.ma.getmaskarray(inhibition.images[0].get_array()).all()


def test_many_heads_are_drawn_without_numbers() -> None:
    axes = maps(roles(n_layers=24, n_heads=32))["induction"]
    assert not axes.texts
    assert axes.images[0].get_array().shape == (24, 32)


def test_equal_scores_give_equal_bytes() -> None:
    first = head_role_png(roles(), title="Heads of tiny")
    assert first == head_role_png(roles(), title="Heads of tiny")
    assert imread(BytesIO(first)).shape[2] == 4


def test_the_key_of_a_single_map_is_not_cut() -> None:
    figure = head_role_figure(roles(), title="Heads of tiny", roles=(Role.INDUCTION,))
    figure.draw_without_rendering()
    for text in figure.texts:
        assert text.get_window_extent().x1 <= figure.bbox.x1
