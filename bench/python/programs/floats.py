"""Numeric: three bodies move by Newton's law."""


def run(steps):
    x = [0.0, 1.0, -2.0]
    y = [0.0, 0.5, 1.0]
    u = [0.0, 0.3, -0.2]
    v = [0.1, 0.4, -0.5]
    mass = [10.0, 1.0, 0.5]
    for _ in range(steps):
        for i in range(3):
            ax = ay = 0.0
            for j in range(3):
                if i != j:
                    dx = x[j] - x[i]
                    dy = y[j] - y[i]
                    square = dx * dx + dy * dy + 0.01
                    pull = mass[j] / (square * square ** 0.5)
                    ax += dx * pull
                    ay += dy * pull
            u[i] += ax * 0.001
            v[i] += ay * 0.001
        for i in range(3):
            x[i] += u[i] * 0.001
            y[i] += v[i] * 0.001
    return round(sum(x) + sum(y), 6)


SIZES = {"tiny": (5, 0.50037), "small": (300, 0.118329), "large": (6000, 2.671139)}
