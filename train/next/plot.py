"""Draws the progress log as a small SVG: loss of answers, choices and other text by step."""

from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 320, 44, 36, 14
CURVES = (
    ("words of answers", "#c0392b", 0),
    ("other text", "#2c6fbb", 2),
    ("choice of sentences (divergence)", "#3a8f4d", 3),
)


def read_log(path: Path) -> tuple[list[int], list[list[float]], list[tuple[str, int]]]:
    """Steps counted over all stages, the losses at each, and where stages begin."""
    latest: dict[str, dict[int, list[float]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        stage, step, *means, _ = line.split()
        # Steps after the last checkpoint are made again, hence logged again, after a break.
        latest.setdefault(stage, {})[int(step)] = [float(mean) for mean in means]
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
    top_loss = min(max(row[column] for row in losses for _, _, column in CURVES), 8.0)

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
    for i, (label, colour, column) in enumerate(CURVES):
        pairs = zip(steps, losses, strict=True)
        points = " ".join(f"{x(s):.1f},{y(v[column]):.1f}" for s, v in pairs)
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        where = f'x="{WIDTH - 210}" y="{TOP + 14 + 16 * i}"'
        out.append(f'<text {where} fill="{colour}">{label}</text>')
    caption = f"loss in nats per token, {steps[-1]} steps"
    out.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">{caption}</text></svg>')
    path.write_text("\n".join(out) + "\n", encoding="utf-8")
