/*
 * What a domain's kernel has here: its memory, which is the machine's; its grant table; event channels; XenStore.
 * The machine gives these functions; everything else about the protocol is from Xen's public headers.
 */
#include <stdint.h>
#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/xenbus.h>
#include <xen/io/pciif.h>

#define IMPORT(name) __attribute__((import_module("domain"), import_name(#name))) name
#define EXPORT(name) __attribute__((export_name(#name))) name

/* A page of this domain's own: its linear address, and its machine frame. Zeroed. */
void *IMPORT(page_alloc)(uint32_t *frame);
grant_entry_v1_t *IMPORT(grant_table)(void);
/* 0 or more: a port; below: -errno. */
int IMPORT(evtchn_alloc_unbound)(int remote);
int IMPORT(evtchn_bind_interdomain)(int remote, int remote_port);
int IMPORT(evtchn_send)(int port);
/* Everybody else goes on until an event is pending at the port (1), or the milliseconds are over (0). */
int IMPORT(evtchn_poll)(int port, int milliseconds);
/* The linear address of another's page that is mapped here, 0 when it is refused. */
void *IMPORT(grant_map)(int dom, uint32_t ref);
/* Bytes of the value, or -errno. `tx` 0: no transaction. */
int IMPORT(xs_read)(int tx, const char *path, char *value, int size);
int IMPORT(xs_write)(int tx, const char *path, const char *value);
int IMPORT(xs_begin)(void);
/* 0, or -errno: -EAGAIN when it has to be done again. */
int IMPORT(xs_end)(int tx, int abort);
/* The machine's config space, for a domain that may have it. */
uint32_t IMPORT(pci_read)(int routing, int offset, int size);
void IMPORT(pci_write)(int routing, int offset, int size, uint32_t value);

#define EAGAIN 11

/* ---- text, without a C library */

static char *put(char *to, const char *text)
{
    while (*text) *to++ = *text++;
    *to = 0;
    return to;
}

static char *put_number(char *to, uint32_t number)
{
    char digits[11];
    int n = 0;
    do digits[n++] = '0' + number % 10; while ((number /= 10) != 0);
    while (n > 0) *to++ = digits[--n];
    *to = 0;
    return to;
}

static int number_at(const char *text)
{
    int number = 0;
    while (*text >= '0' && *text <= '9') number = number * 10 + (*text++ - '0');
    return number;
}

/* ---- one end of a xenbus device: two folders */

#define PATH 128

static char own[PATH], other[PATH];

static const char *path_of(const char *folder, const char *key)
{
    static char path[PATH];
    put(put(put(path, folder), "/"), key);
    return path;
}

static int read_number(const char *folder, const char *key)
{
    char text[32];
    return xs_read(0, path_of(folder, key), text, sizeof text) < 0 ? -1 : number_at(text);
}

static int write_number(int tx, const char *folder, const char *key, uint32_t number)
{
    char text[12];
    put_number(text, number);
    return xs_write(tx, path_of(folder, key), text);
}

static void switch_state(int state)
{
    if (read_number(own, "state") != state) write_number(0, own, "state", state);
}
