"""Draws the progress log as a small SVG: loss of answers and of other text by step."""

from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 320, 44, 36, 14
CURVES = (("answers (copying and choosing)", "#c0392b"), ("other text", "#2c6fbb"))


def read_log(path: Path) -> tuple[list[int], list[tuple[float, float]], list[tuple[str, int]]]:
    """Steps counted over all stages, the two losses at each, and where stages begin."""
    latest: dict[str, dict[int, tuple[float, float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        stage, step, of_answers, of_other, *_ = line.split()
        # Steps after the last checkpoint are made again, hence logged again, after a break.
        latest.setdefault(stage, {})[int(step)] = (float(of_answers), float(of_other))
    steps, losses, stages, before = [], [], [], 0
    for stage, logged in latest.items():
        stages.append((stage, before))
        for step in sorted(logged):
            steps.append(before + step)
            losses.append(logged[step])
        before = steps[-1]
    return steps, losses, stages


def write_plot(log: Path, path: Path) -> None:
    steps, losses, stages = read_log(log)
    top_loss = min(max(max(pair) for pair in losses), 8.0)

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * step / steps[-1]

    def y(loss: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * min(loss, top_loss) / top_loss

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for loss in range(int(top_loss) + 1):
        out.append(f'<path d="M{LEFT} {y(loss):.1f}H{WIDTH - 10}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(loss) + 4:.1f}" text-anchor="end">{loss}</text>')
    for name, start in stages:
        out.append(f'<path d="M{x(start):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#bbb"/>')
        out.append(f'<text x="{x(start) + 3:.1f}" y="{HEIGHT - BOTTOM + 14}">{name}</text>')
    for i, (label, colour) in enumerate(CURVES):
        points = " ".join(f"{x(s):.1f},{y(v[i]):.1f}" for s, v in zip(steps, losses, strict=True))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        where = f'x="{WIDTH - 210}" y="{TOP + 14 + 16 * i}"'
        out.append(f'<text {where} fill="{colour}">{label}</text>')
    caption = f"loss in nats per token, {steps[-1]} steps"
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">{caption}</text></svg>')
    path.write_text("\n".join(out) + "\n", encoding="utf-8")
