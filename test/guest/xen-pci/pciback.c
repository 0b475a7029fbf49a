/*
 * A back end for PCI devices, written from Xen's public headers alone: it exports the devices of its folder at devfn
 * 00.0, 01.0 and so on, as they are, and serves config accesses. It knows of no MSI.
 */
#include "domain.h"

#define DEVICES 8

static struct xen_pci_sharedinfo *shared;
static int port = -1;
static int front_dom;
static int routing[DEVICES];
static int devices;

static int hex_at(const char **text)
{
    int number = 0;
    for (;; (*text)++) {
        char c = **text;
        if (c >= '0' && c <= '9') number = number * 16 + c - '0';
        else if (c >= 'a' && c <= 'f') number = number * 16 + c - 'a' + 10;
        else return number;
    }
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static const char *numbered(const char *name, int n)
{
    static char key[16];
    put_number(put(key, name), n);
    return key;
}

static void export_devices(void)
{
    char text[32], vdev[] = "0000:00:00.00";
    int count = read_number(own, "num_devs");

    for (devices = 0; devices < count && devices < DEVICES; devices++) {
        const char *at = text;
        if (xs_read(0, path_of(own, numbered("dev-", devices)), text, sizeof text) < 0) break;
        /* segment, which is 0; bus; device; function */
        hex_at(&at), at++;
        routing[devices] = hex_at(&at) << 8;
        at++;
        routing[devices] |= hex_at(&at) << 3;
        at++;
        routing[devices] |= hex_at(&at);
        vdev[9] = '0' + devices;
        xs_write(0, path_of(own, numbered("vdev-", devices)), vdev);
        write_number(0, own, numbered("state-", devices), XenbusStateInitialised);
    }
}

static void attach(void)
{
    char magic[8];
    int ref = read_number(other, "pci-op-ref");
    int remote = read_number(other, "event-channel");

    if (xs_read(0, path_of(other, "magic"), magic, sizeof magic) < 0 || !same(magic, XEN_PCI_MAGIC)) {
        switch_state(XenbusStateClosing);
        return;
    }
    shared = grant_map(front_dom, ref);
    port = evtchn_bind_interdomain(front_dom, remote);
    if (shared && port >= 0) switch_state(XenbusStateConnected);
    else switch_state(XenbusStateClosing);
}

int EXPORT(start)(int domid, int of)
{
    front_dom = of;
    put(put_number(put(put_number(put(own, "/local/domain/"), domid), "/backend/pci/"), of), "/0");
    if (xs_read(0, path_of(own, "frontend"), other, sizeof other) < 0) return -1;
    switch_state(XenbusStateInitWait);
    export_devices();
    xs_write(0, path_of(own, "root-0"), "0000:00");
    write_number(0, own, "root_num", 1);
    switch_state(XenbusStateInitialised);
    return port;
}

/* The front end's state has changed. Gives the port to listen on. */
int EXPORT(changed)(void)
{
    switch (read_number(other, "state")) {
    case XenbusStateInitialised:
        if (!shared) attach();
        break;
    case XenbusStateClosing:
        switch_state(XenbusStateClosing);
        break;
    case XenbusStateClosed:
        switch_state(XenbusStateClosed);
        break;
    default:
        break;
    }
    return port;
}

/* An event has come. */
void EXPORT(event)(void)
{
    if (!shared || !(__atomic_load_n(&shared->flags, __ATOMIC_SEQ_CST) & XEN_PCIF_active)) return;
    struct xen_pci_op op = shared->op;
    int devfn = op.devfn;
    int n = devfn >> 3;

    if (op.domain != 0 || op.bus != 0 || (devfn & 7) != 0 || op.devfn > 0xff || n >= devices) {
        op.err = XEN_PCI_ERR_dev_not_found;
    } else if (op.cmd != XEN_PCI_OP_conf_read && op.cmd != XEN_PCI_OP_conf_write) {
        op.err = XEN_PCI_ERR_not_implemented;
    } else if ((op.size != 1 && op.size != 2 && op.size != 4) || op.offset < 0 || op.offset + op.size > 256
        || op.offset % op.size != 0) {
        op.err = XEN_PCI_ERR_invalid_offset;
    } else {
        op.err = XEN_PCI_ERR_success;
        if (op.cmd == XEN_PCI_OP_conf_read) op.value = pci_read(routing[n], op.offset, op.size);
        else pci_write(routing[n], op.offset, op.size, op.value);
    }
    shared->op.err = op.err;
    shared->op.value = op.value;
    __atomic_fetch_and(&shared->flags, ~XEN_PCIF_active, __ATOMIC_SEQ_CST);
    evtchn_send(port);
}
