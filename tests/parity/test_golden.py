"""Every golden case, with whatever sizes and seeds its config states."""

import os

import pytest

from tests.parity import (  # noqa: F401  (they register their checks)
    deepmolm,
    deepmolm_answers,
    deepmolm_modules,
    moleblend,
    threedmolm,
    threedmolm_language,
    threedmolm_metrics,
    threemdiffusion,
    threemdiffusion_diffusion,
    threemdiffusion_hier,
)
from tests.parity.golden import HANDLERS, NOT_BUILT, ROOT, Case, owner

# Whoever names a folder of golden cases wants them run: a skip is then a failure.
COMPLETE = "MOLFUSION_GOLDEN" in os.environ
CASES = sorted(p.parent for p in ROOT.glob("*/*/config.json")) or [None]


@pytest.mark.parametrize("folder", CASES, ids=lambda p: f"{p.parent.name}/{p.name}" if p else "none")
def test_golden(folder, tmp_path):
    if folder is None:
        (pytest.fail if COMPLETE else pytest.skip)(f"no golden cases under {ROOT}")
    case = Case(folder)
    name = owner(case.system, case.name)
    assert name is not None, f"{case.system}/{case.name}: no component handles this case"
    if name in NOT_BUILT.get(case.system, []):
        pytest.skip(f"{name} is not built yet (tests/parity/golden.py: NOT_BUILT)")
    try:
        HANDLERS[case.system, name](case, tmp_path)
    except pytest.skip.Exception as reason:
        if COMPLETE:
            pytest.fail(f"{case.system}/{case.name} was skipped: {reason}")
        raise


def test_nothing_is_both_built_and_not():
    assert not [key for key in HANDLERS if key[1] in NOT_BUILT.get(key[0], [])]


def test_longest_name_owns_a_case():
    assert owner("3d-molm", "unimol_encoder_z9") == "unimol_encoder"
    assert owner("3d-molm", "no_such_component") is None
