/*
 * What xenstored asks of a hypervisor, for a machine that has none: a library to load before the real ones, so that the
 * stock daemon runs as any program. There is domain 0 and no other, its page is a file's, and no event ever comes.
 * XENSTORED_PAGE and XENSTORED_PORT name the files that stand for those of /proc/xen.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

/* A handle is never looked into. */
static int handle;

xc_interface *xc_interface_open(xentoollog_logger *l, xentoollog_logger *m, unsigned flags)
{
    (void)l, (void)m, (void)flags;
    return (xc_interface *)&handle;
}

int xc_domain_getinfo(xc_interface *xch, uint32_t first, unsigned int max, xc_dominfo_t *info)
{
    (void)xch, (void)max;
    memset(info, 0, sizeof *info);
    info->domid = first;
    return first == 0;
}

xenevtchn_handle *xenevtchn_open(struct xentoollog_logger *l, unsigned flags)
{
    (void)l, (void)flags;
    return (xenevtchn_handle *)&handle;
}

int xenevtchn_fd(xenevtchn_handle *h)
{
    static int ends[2] = { -1, -1 };
    (void)h;
    if (ends[0] < 0 && pipe(ends) != 0) abort();
    return ends[0];
}

xenevtchn_port_or_error_t xenevtchn_bind_interdomain(xenevtchn_handle *h, uint32_t domid, evtchn_port_t port)
{
    (void)h, (void)domid, (void)port;
    return 1;
}

xenevtchn_port_or_error_t xenevtchn_bind_virq(xenevtchn_handle *h, unsigned int virq)
{
    (void)h, (void)virq;
    return 2;
}

int xenevtchn_notify(xenevtchn_handle *h, evtchn_port_t port)
{
    (void)h, (void)port;
    return 0;
}

int xenevtchn_unbind(xenevtchn_handle *h, evtchn_port_t port)
{
    return xenevtchn_notify(h, port);
}

int xenevtchn_unmask(xenevtchn_handle *h, evtchn_port_t port)
{
    return xenevtchn_notify(h, port);
}

xengnttab_handle *xengnttab_open(struct xentoollog_logger *l, unsigned flags)
{
    (void)l, (void)flags;
    return (xengnttab_handle *)&handle;
}

int xengnttab_set_max_grants(xengnttab_handle *h, uint32_t count)
{
    (void)h, (void)count;
    return 0;
}

int open(const char *path, int flags, ...)
{
    static int (*real)(const char *, int, ...);
    const char *stand_in = NULL;
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    if (!strcmp(path, "/proc/xen/xsd_port")) stand_in = getenv("XENSTORED_PORT");
    if (!strcmp(path, "/proc/xen/xsd_kva")) stand_in = getenv("XENSTORED_PAGE");
    return real(stand_in ? stand_in : path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));
