"""Find requests in a log of JSON lines and sum them up: python json_pipeline.py

Sequential: map(digest, chunks).
"""
import json
import re

import parallel

WANTED = re.compile(r"/api/(\w+)/(\d+)")


def digest(lines):
    seconds = {}
    for line in lines:
        record = json.loads(line)
        match = WANTED.match(record["path"])
        if match and record["status"] == 200:
            name = match[1]
            seconds[name] = seconds.get(name, 0.0) + record["seconds"]
    return seconds


def make_log(count):
    names = "users", "orders", "items"
    return [json.dumps({"path": f"/api/{names[i % 3]}/{i}",
                        "status": 200 if i % 10 else 404,
                        "seconds": (i % 7) / 8}) for i in range(count)]


def main():
    log = make_log(50_000)
    chunks = [log[i:i + 1000] for i in range(0, len(log), 1000)]
    total = {}
    with parallel.Executor() as executor:
        for part in executor.map(digest, chunks):  # was: map(digest, chunks)
            for name, seconds in part.items():
                total[name] = total.get(name, 0.0) + seconds
    print(json.dumps(total, sort_keys=True))


if __name__ == "__main__":
    main()
