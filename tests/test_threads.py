"""How PyTorch's threads wait, and who decides it; results do not depend on it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from privhead_nb import threads
from privhead_nb.cli.common import set_threads

ROOT = Path(__file__).parents[1]
CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def process(code: str, **chosen: str) -> list[str | None]:
    """The two settings and OMP_NUM_THREADS as a new process has them after running some code."""
    env = {k: v for k, v in os.environ.items() if k not in (*CHOICES, "OMP_NUM_THREADS")}
    names = (*CHOICES, "OMP_NUM_THREADS")
    code += f"\nimport json, os; print(json.dumps([os.environ.get(n) for n in {names!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env | chosen, capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    found: list[str | None] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_the_wait_is_short_before_torch_is_loaded():
    """By the command line, which loads torch late, and by the package's front door."""
    seen = "import sys, importlib.abc, os\n"
    seen += "class Watch(importlib.abc.MetaPathFinder):\n"
    seen += " def find_spec(self, name, *_):\n"
    seen += f"  assert name != 'torch' or os.environ['GOMP_SPINCOUNT'] == '{threads.ROUNDS}'\n"
    seen += "sys.meta_path.insert(0, Watch())\n"
    for door in ("from privhead_nb.cli import app", "import privhead_nb"):
        code = seen + door + "\nassert 'torch' not in sys.modules\n"
        code += "from privhead_nb.kernels import dispatch\nassert 'torch' in sys.modules"
        assert process(code) == [str(threads.ROUNDS), None, None]


def test_a_users_own_setting_wins():
    assert process("import privhead_nb", GOMP_SPINCOUNT="7") == ["7", None, None]
    assert process("import privhead_nb", OMP_WAIT_POLICY="passive") == [None, "passive", None]


def test_nothing_is_set_where_torch_was_loaded_first():
    """It would have no effect here, and surprise the processes that are started later."""
    assert process("import torch, privhead_nb") == [None, None, None]


def test_threads_of_the_command_line_win_over_the_environment():
    code = "from privhead_nb.cli.common import set_threads\nset_threads({})\n"
    code += "import torch; assert torch.get_num_threads() == {}"
    assert process(code.format(2, 2), OMP_NUM_THREADS="1")[2] == "2"
    assert process(code.format(0, 1), OMP_NUM_THREADS="1")[2] == "1"


def test_no_threads_given_leaves_them_as_they_are(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    set_threads(0)
    assert torch.get_num_threads() == before and "OMP_NUM_THREADS" not in os.environ
