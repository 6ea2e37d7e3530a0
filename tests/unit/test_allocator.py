"""Memory that the function keeps between segments, and gives back between songs."""

import os
import subprocess
import sys

import pytest

from medley.settings import STORES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc's")

SCRIPT = """
import ctypes, resource, threading
import functions.separate.main
from functions.separate.allocator import give_back

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
SIZE = 40 << 20  # fits an arena of a thread
faults = []

def segment():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensor = ctypes.c_void_p(libc.malloc(SIZE))
    ctypes.memset(tensor, 1, SIZE)
    libc.free(tensor)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

def on_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

on_a_thread(segment)
on_a_thread(segment)
kept = resident()
give_back()
print(*faults, kept - resident())
"""


def test_the_function_keeps_memory_between_segments_and_gives_it_back_between_songs() -> None:
    stores = {name.upper(): "http://localhost:1" for name in STORES} | {"REDIS_URL": "redis://localhost:1"}
    environment = os.environ | stores
    ran = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, check=True, capture_output=True, text=True)
    first, again, given_back = map(int, ran.stdout.split())
    pages = (40 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert first > pages / 2 > 20 * again
    assert given_back > 30 << 20
