"""How fast this machine reads memory: the limit of every decode on a CPU. Measured by a few lines of C."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

_SOURCE = r"""
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
static size_t bytes; static int threads; static char *buffer; static pthread_barrier_t gate; static volatile uint64_t sink;
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void *reader(void *argument) {
  size_t share = bytes / threads / sizeof(uint64_t);
  uint64_t *part = (uint64_t *)buffer + (size_t)argument * share, sum = 0;
  memset(part, 1, share * sizeof(uint64_t));
  for (int round = 0; round < 8; round++) {
    pthread_barrier_wait(&gate);
    for (size_t i = 0; i < share; i++) sum += part[i];
    pthread_barrier_wait(&gate);
  }
  sink += sum;
  return 0;
}
int main(int count, char **arguments) {
  threads = atoi(arguments[1]); bytes = (size_t)512 << 20; buffer = aligned_alloc(4096, bytes);
  pthread_barrier_init(&gate, 0, threads + 1);
  pthread_t ids[64]; double best = 0;
  for (size_t i = 0; i < (size_t)threads; i++) pthread_create(&ids[i], 0, reader, (void *)i);
  for (int round = 0; round < 8; round++) {
    pthread_barrier_wait(&gate); double start = now();
    pthread_barrier_wait(&gate); double rate = bytes / (now() - start);
    if (rate > best) best = rate;
  }
  printf("%.0f\n", best);
}
"""


@functools.cache
def memory_bandwidth(n_threads: int) -> float:
    """Bytes a second read by ``n_threads`` at once, the best of eight passes over 512 MB."""
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "read.c"), Path(folder, "read")
        source.write_text(_SOURCE, encoding="utf-8")
        command = ["cc", "-O3", "-march=native", "-pthread", str(source), "-o", str(program)]
        subprocess.run(command, check=True, capture_output=True)
        done = subprocess.run([program, str(n_threads)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def share_of_bandwidth(path: Path, passes_s: float, n_threads: int) -> str:
    """What ``passes_s`` readings of a model's weights a second are of what the memory can give, for a row's note."""
    return f"{passes_s * path.stat().st_size / memory_bandwidth(n_threads):.0%} of memory bandwidth"
