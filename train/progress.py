"""The losses of all stages: printed, kept in a log, and drawn as a small SVG."""

from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, GAP = 720, 240, 30, 34, 14, 34
COLOUR = "#c0392b"


class Progress:
    def __init__(self, log: Path) -> None:
        self.log = log

    def note(self, stage: str, step: int, loss: float) -> None:
        line = f"{stage} {step} {loss:.4f}"
        print(line, flush=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def read(self) -> dict[str, dict[int, float]]:
        """Losses by stage and step; a stage that was made again counts once."""
        stages: dict[str, dict[int, float]] = {}
        for line in self.log.read_text(encoding="utf-8").splitlines():
            stage, step, loss = line.split()
            stages.setdefault(stage, {})[int(step)] = float(loss)
        return stages

    def plot(self, path: Path) -> None:
        stages = self.read()
        width = (WIDTH - LEFT) / len(stages) - GAP
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="11">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        ]
        for i, (stage, losses) in enumerate(stages.items()):
            left, top, last = LEFT + i * (width + GAP), max(losses.values()), max(losses)
            low, scale = HEIGHT - BOTTOM, (HEIGHT - BOTTOM - TOP) / top
            points = " ".join(
                f"{left + width * step / last:.1f},{low - scale * loss:.1f}"
                for step, loss in sorted(losses.items())
            )
            out.append(f'<path d="M{left:.1f} {TOP}V{low}h{width:.1f}" fill="none" stroke="#bbb"/>')
            out.append(f'<text x="{left - 4:.1f}" y="{TOP + 8}" text-anchor="end">{top:.2g}</text>')
            out.append(f'<polyline points="{points}" fill="none" stroke="{COLOUR}"/>')
            caption = f"{stage}, {last} steps"
            out.append(f'<text x="{left:.1f}" y="{HEIGHT - 16}">{caption}</text>')
        out.append("</svg>")
        path.write_text("\n".join(out) + "\n", encoding="utf-8")
