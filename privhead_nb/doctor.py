"""What this machine can run, and how to mend what is missing. Needs nothing but Python itself."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# Import name, distribution, what it is for, and the extra that brings it ("" for the core).
PACKAGES = (
    ("torch", "torch", "fields and training", ""),
    ("numpy", "numpy", "arrays", ""),
    ("scipy", "scipy", "nearest neighbours, components", ""),
    ("skimage", "scikit-image", "marching cubes", ""),
    ("cv2", "opencv-python-headless", "picture resizing", ""),
    ("PIL", "pillow", "reading and writing pictures", ""),
    ("safetensors", "safetensors", "checkpoints", ""),
    ("tqdm", "tqdm", "progress bars", ""),
    ("trimesh", "trimesh", "mesh files", ""),
    ("igl", "libigl", "exact distances", ""),
    ("matplotlib", "matplotlib", "pictures", ""),
    ("typer", "typer", "the command line", ""),
    ("numba", "numba", "fast kernels on the CPU", "fast"),
    ("jupyterlab", "jupyterlab", "the notebooks", "notebooks"),
    ("ipywidgets", "ipywidgets", "the notebooks' panels", "notebooks"),
    ("nbval", "nbval", "testing the notebooks", "dev"),
)
GIB = 1 << 30
NEED_MEMORY, NEED_DISK = 2.0, 1.0  # GiB: a run's peak and a run's folder, with room to spare


@dataclass(frozen=True)
class Finding:
    """Something that is missing or in the way. `needed` findings stop every run."""

    what: str
    remedy: str
    needed: bool = False


def report() -> dict[str, Any]:
    """Look at this machine; plain values, ready for JSON.

    Returns:
        python, platform, cores, threads, memory_gib, disk_free_gib, packages (versions or None),
        gpu (name, capability, memory_gib, triton, or None), numba (is it there), kernels (whether
        a small one was compiled or loaded: run, kept for later runs, problem), display, profile
        (the one to use here), can_run, and findings, each with what is wrong and its remedy.
    """
    versions = {name: _version(module, name) for module, name, _, _ in PACKAGES}
    gpu, torch_error = _gpu() if versions["torch"] else (None, None)
    cores = _cores()
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": cores,
        "threads": min(cores, 8),
        "memory_gib": _memory_gib(),
        "disk_free_gib": round(shutil.disk_usage(Path.cwd()).free / GIB, 1),
        "packages": versions,
        "gpu": gpu,
        "numba": versions["numba"] is not None,
        "kernels": _kernels(versions["numba"] is not None and versions["torch"] is not None),
        "display": _display(),
        "profile": "gpu" if gpu and gpu["usable"] else "cpu",
    }
    findings = _findings(facts)
    if torch_error:
        findings.append(Finding(f"torch does not load: {torch_error}", _install(""), True))
    facts["can_run"] = not any(finding.needed for finding in findings)
    facts["findings"] = [asdict(finding) for finding in findings]
    return facts


def text(facts: dict[str, Any]) -> str:
    """The report for a reader."""
    gpu = facts["gpu"]
    gpu_line = "none found: everything runs on the CPU"
    if gpu:
        triton = "Triton found" if gpu["triton"] else "no Triton"
        gpu_line = (
            f"{gpu['name']}, capability {gpu['capability']}, {gpu['memory_gib']} GiB, {triton}"
        )
    memory = "unknown" if facts["memory_gib"] is None else f"{facts['memory_gib']} GiB"
    rows = [
        ("Python", f"{facts['python']} on {facts['platform']}"),
        ("torch", facts["packages"]["torch"] or "missing"),
        ("cores", f"{facts['cores']}, of which a run uses {facts['threads']} (--threads)"),
        ("GPU", gpu_line),
        ("Numba", _numba_line(facts)),
        ("memory", f"{memory}; a run needs {NEED_MEMORY:g}"),
        ("disk", f"{facts['disk_free_gib']} GiB free here; a run needs {NEED_DISK:g}"),
        ("display", "found" if facts["display"] else "none: pictures go to files and notebooks"),
        ("profile", f"--profile {facts['profile']}"),
    ]
    lines = [f"{name:<9}{value}" for name, value in rows]
    for finding in facts["findings"]:
        mark = "needed" if finding["needed"] else "better"
        lines += ["", f"{mark}: {finding['what']}", f"        {finding['remedy']}"]
    verdict = "This machine is ready." if facts["can_run"] else "Mend what is needed first."
    return "\n".join([*lines, "", verdict])


def _numba_line(facts: dict[str, Any]) -> str:
    if not facts["numba"]:
        return "not found: plain torch"
    if not facts["kernels"]["run"]:
        return "found, but its kernels can't run: plain torch"
    kept = "kept for later runs" if facts["kernels"]["kept"] else "compiled again by each run"
    return f"found: fast CPU kernels, {kept}"


def _findings(facts: dict[str, Any]) -> list[Finding]:
    found: list[Finding] = []

    def note(so: Any, what: str, remedy: str, needed: bool = False) -> None:
        if so:
            found.append(Finding(what, remedy, needed))

    python, torch, gpu = facts["python"], facts["packages"]["torch"], facts["gpu"]
    # pip may have been told to ignore what Python is asked for
    remedy = "Install Python 3.11 or newer, then: make PYTHON=/path/to/python3.11"
    note(sys.version_info[:2] < (3, 11), f"Python {python} is too old", remedy, True)
    for _, name, purpose, extra in PACKAGES:
        missing = facts["packages"][name] is None
        note(missing, f"{name} is missing ({purpose})", _install(extra), not extra)
    old = torch and _older(torch, (2, 9))
    note(old, f"torch {torch} is older than 2.9", _install(""), True)
    if gpu:
        what = f"the GPU's capability {gpu['capability']} is below 7.0"
        remedy = "Use --profile cpu: this GPU is older than the kernels were made for."
        note(not gpu["usable"], what, remedy)
        what = "a GPU without Triton: the GPU kernels fall back to torch"
        note(gpu["usable"] and not gpu["triton"], what, _install("gpu"))
    problem = facts["kernels"]["problem"]
    if problem:
        note(True, problem["what"], problem["remedy"])
    memory, disk = facts["memory_gib"], facts["disk_free_gib"]
    little = memory is not None and memory < NEED_MEMORY
    remedy = "Close other programs, or use --profile ci, which needs less."
    note(little, f"only {memory} GiB of memory", remedy)
    remedy = "Free some space, or name an output folder on another disk."
    note(disk < NEED_DISK, f"only {disk} GiB of disk free here", remedy)
    return found


def _install(extra: str) -> str:
    name = f"'.[{extra}]'" if extra else "."
    return f"python -m pip install -c constraints.txt {name}   (in the repository's folder)"


def _version(module: str, distribution: str) -> str | None:
    """The version of an installed package; None where its module can't be found."""
    if importlib.util.find_spec(module) is None:
        return None
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # conda names some packages otherwise
        return "unknown version"


def _older(version: str, than: tuple[int, int]) -> bool:
    parts = version.split(".")[:2]
    return all(p.isdigit() for p in parts) and tuple(int(p) for p in parts) < than


def _gpu() -> tuple[dict[str, Any] | None, str | None]:
    """Facts on the first CUDA device, or None; and why torch can't be loaded, or None."""
    try:
        import torch
    except Exception as error:  # a broken install raises OSError, ImportError and more
        return None, str(error).splitlines()[0] if str(error) else type(error).__name__
    if not torch.cuda.is_available():
        return None, None
    properties = torch.cuda.get_device_properties(0)
    return {
        "name": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "memory_gib": round(properties.total_memory / GIB, 1),
        "triton": importlib.util.find_spec("triton") is not None,
        "usable": properties.major >= 7,
    }, None


def _kernels(installed: bool) -> dict[str, Any]:
    """Compile a small kernel, or load it: whether kernels run and are kept, and what is wrong."""
    if not installed:
        return {"run": False, "kept": False, "problem": None}
    try:
        from privhead_nb.kernels.lazy import numba_problem, storage_problem
    except Exception:  # torch is broken, which is told elsewhere
        return {"run": False, "kept": False, "problem": None}
    run, kept = numba_problem(), storage_problem()
    problem = run or kept
    what, _, remedy = (problem or "").partition("; ")
    return {
        "run": run is None,
        "kept": problem is None,
        "problem": {"what": what, "remedy": remedy} if problem else None,
    }


def _cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    """Memory that this process may use: the machine's, or the container's if that is less."""
    sizes = []
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):  # "max" where there is no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return round(min(sizes) / GIB, 1) if sizes else None


def _display() -> bool:
    """Could a window be opened? Only a convenience: nothing here needs one."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
