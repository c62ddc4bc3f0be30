"""Bytes: a checksum, a cipher, a run-length code."""


def run(count):
    data = bytearray((i * i + 7) % 251 for i in range(count))
    a, b = 1, 0
    for byte in data:
        a = (a + byte) % 65521
        b = (b + a) % 65521
    key = b"secret"
    for i in range(count):
        data[i] ^= key[i % 6]
    runs, last, length = [], -1, 0
    for byte in bytes(data):
        if byte >> 5 == last:
            length += 1
        else:
            runs.append((last, length))
            last, length = byte >> 5, 1
    return (b << 16 | a) * 1000 + len(runs)


SIZES = {"tiny": (50, 3732739337042), "small": (2000, 2400957507743), "large": (100000, 638233872858)}
