"""Whether each CPU has a core to itself at the moment.

The host of a virtual machine may put two of its CPUs on the two threads of one
core, for a second or an hour: each then does little more than half of the work.
Whatever runs on both CPUs is measured at half its speed, whatever runs on one is
not, and the ratio of the two says nothing about either.

One process on each CPU runs a fixed loop, all at the same time; when the slowest
takes far longer than that CPU ever did, cores are shared.
"""
import os
import subprocess
import sys

LOOP = """
import sys, time
for line in sys.stdin:
    began = time.thread_time_ns()
    for _ in range(30_000):
        pass
    print(time.thread_time_ns() - began, flush=True)
"""
SLOW = 1.2  # the loop on a shared core takes 1.3 to 1.8 times as long


class Cores:
    def __init__(self, count, prefix=()):
        """prefix: what starts a process with the priority of those measured."""
        cpus = sorted(os.sched_getaffinity(0))[:count]
        self.loops = [self.start(cpu, prefix) for cpu in cpus]
        self.best = [min(times) for times in zip(*(self.times()
                                                   for _ in range(20)))]

    @staticmethod
    def start(cpu, prefix):
        return subprocess.Popen(
            [*prefix, sys.executable, "-c", LOOP], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, [cpu]))

    def times(self):
        for loop in self.loops:
            print(file=loop.stdin, flush=True)
        return [int(loop.stdout.readline()) for loop in self.loops]

    def are_whole(self):
        times = self.times()
        self.best = list(map(min, self.best, times))
        return all(time < SLOW * best for time, best in zip(times, self.best))

    def close(self):
        for loop in self.loops:
            loop.communicate()
