"""Draw the Mandelbrot set: python mandelbrot.py FILE.pgm [SIZE]

Sequential: map(row, range(size), [size] * size).
"""
import sys

import parallel

ITERATIONS = 100


def row(y, size):
    shades = bytearray(size)
    for x in range(size):
        c = complex(3 * x / size - 2.25, 2.4 * y / size - 1.2)
        z, left = 0j, ITERATIONS
        while left and abs(z) < 2:
            z = z * z + c
            left -= 1
        shades[x] = 255 * left // ITERATIONS
    return bytes(shades)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    with parallel.Executor() as executor:
        rows = executor.map(row, range(size), [size] * size)  # was: map(...)
        with open(sys.argv[1], "wb") as file:
            file.write(b"P5 %d %d 255\n" % (size, size))
            file.writelines(rows)
    print("wrote", sys.argv[1])


if __name__ == "__main__":
    main()
