// The engine's hot paths in C, on an image of the engine's memory. Reads commands, one a line, and answers each with
// a line `ns result`: the median time of TIMES batches after one that is not timed.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include "driver.h"

#define ARGUMENTS 10
#define TIMES_MAX 101

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

SLOW uint32_t load_repeat(uint8_t *b, uint32_t dom, uint32_t list, uint32_t entries, uint32_t number) {
  uint32_t sum = 0, at = 0;
  for (uint32_t i = 0; i < number; i++) {
    sum += guest_load(b, dom, ld32(b + list + at * 4), 4);
    at = at + 1 == entries ? 0 : at + 1;
  }
  return sum;
}

SLOW uint32_t store_repeat(uint8_t *b, uint32_t dom, uint32_t list, uint32_t entries, uint32_t number) {
  uint32_t at = 0;
  for (uint32_t i = 0; i < number; i++) {
    guest_store(b, dom, ld32(b + list + at * 4), 4, i);
    at = at + 1 == entries ? 0 : at + 1;
  }
  return 0;
}

SLOW uint32_t in_repeat(uint8_t *b, uint32_t dom, uint32_t list, uint32_t entries, uint32_t number) {
  uint32_t sum = 0, at = 0;
  for (uint32_t i = 0; i < number; i++) {
    sum += guest_in(b, dom, ld32(b + list + at * 4), 4);
    at = at + 1 == entries ? 0 : at + 1;
  }
  return sum;
}

SLOW uint32_t dma_repeat(uint8_t *b, uint32_t fn, uint32_t start, uint32_t len, uint32_t off, uint32_t number,
  uint32_t step, uint32_t span) {
  uint32_t at = 0, worst = Status_OK;
  for (uint32_t i = 0; i < number; i++) {
    uint32_t status = dma_write(b, fn, (uint64_t)start + at, len, b + off);
    if (status != Status_OK) worst = status;
    at += step;
    if (at >= span) at = 0;
  }
  return worst;
}

/** What is left when every check is taken away: memcpy to the machine addresses that the DMA goes to. */
SLOW uint32_t copy_repeat(uint8_t *b, uint32_t start, uint32_t len, uint32_t off, uint32_t number, uint32_t step,
  uint32_t span) {
  uint8_t *ram = b + ld32(b + State_PLACEMENT);
  uint32_t at = 0;
  for (uint32_t i = 0; i < number; i++) {
    memcpy(ram + start + at, b + off, len);
    at += step;
    if (at >= span) at = 0;
  }
  return ram[start];
}

static uint32_t run(uint8_t *b, const char *what, const uint32_t *a) {
  if (!strcmp(what, "load")) return load_repeat(b, a[0], a[1], a[2], a[3]);
  if (!strcmp(what, "store")) return store_repeat(b, a[0], a[1], a[2], a[3]);
  if (!strcmp(what, "in")) return in_repeat(b, a[0], a[1], a[2], a[3]);
  if (!strcmp(what, "dma")) return dma_repeat(b, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
  if (!strcmp(what, "copy")) return copy_repeat(b, a[0], a[1], a[2], a[3], a[4], a[5]);
  if (!strcmp(what, "receive")) return receive_run(b, a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
  fprintf(stderr, "the twin knows no %s\n", what);
  exit(2);
}

/** FNV-1a over the words of the image behind its placement. */
static uint32_t image_hash(const uint8_t *b, size_t size) {
  uint32_t hash = 2166136261u;
  for (size_t i = State_SLICE; i + 4 <= size; i += 4) hash = (hash ^ ld32(b + i)) * 16777619u;
  return hash;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char **argv) {
  FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
  if (!file) return 2;
  fseek(file, 0, SEEK_END);
  size_t size = (size_t)ftell(file);
  rewind(file);
  // anonymous pages, as the engine's memory has
  uint8_t *b = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (b == MAP_FAILED || fread(b, 1, size, file) != size) return 2;
  fclose(file);

  char line[512], what[32];
  while (fgets(line, sizeof line, stdin)) {
    uint32_t a[ARGUMENTS] = { 0 }, times = 0;
    int used = 0, given = 0, part = 0;
    if (sscanf(line, "%31s %u%n", what, &times, &used) < 1) continue;
    while (given < ARGUMENTS && sscanf(line + used, " %u%n", &a[given], &part) == 1) {
      used += part;
      given++;
    }
    if (!strcmp(what, "hash")) {
      printf("0 %u\n", image_hash(b, size));
    } else if (times == 0) {
      printf("0 %u\n", run(b, what, a));
    } else {
      uint64_t spent[TIMES_MAX];
      if (times > TIMES_MAX) times = TIMES_MAX;
      uint32_t result = run(b, what, a);
      for (uint32_t i = 0; i < times; i++) {
        uint64_t start = now();
        result += run(b, what, a);
        spent[i] = now() - start;
      }
      qsort(spent, times, sizeof spent[0], compare);
      printf("%llu %u\n", (unsigned long long)spent[times / 2], result);
    }
    fflush(stdout);
  }
  return 0;
}
