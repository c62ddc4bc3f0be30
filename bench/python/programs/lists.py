"""Lists: two matrices multiplied, then a queue that is turned."""


def run(size):
    a = [[(i * j) % 7 for j in range(size)] for i in range(size)]
    b = [[(i + j) % 5 for j in range(size)] for i in range(size)]
    c = [[0] * size for _ in range(size)]
    for i in range(size):
        row, result = a[i], c[i]
        for j in range(size):
            total = 0
            for k in range(size):
                total += row[k] * b[k][j]
            result[j] = total
    queue = [item for row in c for item in row]
    for _ in range(size):
        queue.append(queue.pop(0))
        queue[1:3] = reversed(queue[1:3])
    return sum(i * item for i, item in enumerate(queue)) % 1000003


SIZES = {"tiny": (6, 16493), "small": (25, 786680), "large": (90, 49294)}
