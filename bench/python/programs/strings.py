"""Strings: build, format, split, replace, search, join."""


def run(lines):
    parts = []
    for i in range(lines):
        name = "user" + str(i % 100)
        parts.append(f"{i:06d};{name.upper()};{i * 1.5:.2f};ok")
    text = "\n".join(parts)
    found = 0
    for line in text.replace("ok", "done").splitlines():
        number, name, amount, state = line.split(";")
        if name.endswith("7") and state == "done":
            found += int(number) + len(amount.strip("0"))
    word = ""
    for i in range(lines):
        word += chr(97 + i % 26)
    return found * 1000 + word.count("xyz")


SIZES = {"tiny": (20, 32000), "small": (450, 10434017), "large": (30000, 45026263153)}
