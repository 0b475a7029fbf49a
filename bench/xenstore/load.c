/*
 * What a tool does with XenStore, many times: the load for the benchmark, by the stock client library. For each line of
 * standard input, a kind of request and how many, it does them in five batches and prints the median in ns for one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xenstore.h>

#define BATCHES 5

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void operate(struct xs_handle *xs, const char *kind, int i)
{
    char path[64], value[32];
    unsigned int length;

    snprintf(path, sizeof path, "/bench/node-%d", i % 64);
    snprintf(value, sizeof value, "value %d", i);
    if (!strcmp(kind, "write")) {
        if (!xs_write(xs, XBT_NULL, path, value, strlen(value))) fail("write");
    } else if (!strcmp(kind, "read")) {
        void *data = xs_read(xs, XBT_NULL, path, &length);
        if (!data) fail("read");
        free(data);
    } else if (!strcmp(kind, "directory")) {
        void *names = xs_directory(xs, XBT_NULL, "/bench", &length);
        if (!names) fail("directory");
        free(names);
    } else if (!strcmp(kind, "transaction")) {
        xs_transaction_t t = xs_transaction_start(xs);
        void *data = xs_read(xs, t, path, &length);
        if (!t || !data || !xs_write(xs, t, path, value, strlen(value)) || !xs_transaction_end(xs, t, 0)) fail("transaction");
        free(data);
    } else {
        fail(kind);
    }
}

int main(void)
{
    struct xs_handle *xs = xs_open(0);
    char kind[32];
    int n;

    if (!xs) fail("xs_open");
    for (int i = 0; i < 64; i++) operate(xs, "write", i);
    while (scanf("%31s %d", kind, &n) == 2) {
        double times[BATCHES];
        for (int b = 0; b < BATCHES; b++) {
            double start = now();
            for (int i = 0; i < n; i++) operate(xs, kind, i);
            times[b] = (now() - start) / n;
        }
        qsort(times, BATCHES, sizeof *times, by_size);
        printf("%f\n", times[BATCHES / 2]);
        fflush(stdout);
    }
    return 0;
}
