"""The lessons of the course: what each is about, how long it takes, and what it builds on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        number: "05".
        name: of its file, without the ending.
        title: two or three words, for the map.
        minutes: to read and solve; 0 where it is still to come.
        needs: numbers of the lessons that it builds on.
        place: column and row on the map, row 0 above.
    """

    number: str
    name: str
    title: str
    minutes: int
    needs: tuple[str, ...]
    place: tuple[float, float]

    @property
    def written(self) -> bool:
        """It is there, and may be linked to."""
        return self.minutes > 0


LESSONS = (
    Lesson("00", "00_start_here", "Start here", 35, (), (0, 1.5)),
    Lesson("01", "01_volume_rendering", "Volume\nrendering", 75, ("00",), (1, 1)),
    Lesson("02", "02_sdf_and_eikonal", "SDF and\neikonal", 80, ("01",), (2, 1)),
    Lesson("03", "03_protecting_operators", "Protecting\noperators", 80, ("00",), (1, 2)),
    Lesson("04", "04_gradient_loss", "Gradient\nloss", 90, ("01", "03"), (2, 2)),
    Lesson("05", "05_two_stage_reconstruction", "Two\nstages", 90, ("02", "04"), (3, 1.5)),
    Lesson("06", "06_irreversibility", "Irreversibility", 90, ("03",), (2, 3)),
    Lesson("07", "07_lipschitz_ablation", "Lipschitz\nablation", 80, ("05",), (4, 0.5)),
    Lesson("08", "08_templates_and_few_views", "Templates,\nfew views", 70, ("05",), (4, 1.5)),
    Lesson("09", "09_recognition_and_deepfakes", "Recognition", 80, ("06",), (3, 3)),
    Lesson("10", "10_appearance_transfer", "Appearance\ntransfer", 60, ("05",), (4, 2.5)),
    Lesson("11", "11_gpu_kernels", "GPU\nkernels", 75, ("01",), (2, 0)),
)
