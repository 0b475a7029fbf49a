/*
 * A front end for PCI devices, written from Xen's public headers alone (io/pciif.h, io/xenbus.h, grant_table.h). It
 * publishes its page, waits for the back end, and asks for config accesses and MSI; devices are found by whoever asks.
 */
#include "domain.h"

#define TIMEOUT_MS 2000

static struct xen_pci_sharedinfo *shared;
static int port;
static int back_dom;

/* A reference behind those that are reserved. */
#define REF 40

int EXPORT(start)(int domid)
{
    uint32_t frame;
    int tx;

    put(put_number(put(own, "/local/domain/"), domid), "/device/pci/0");
    if (xs_read(0, path_of(own, "backend"), other, sizeof other) < 0) return -1;
    back_dom = read_number(own, "backend-id");
    shared = page_alloc(&frame);
    shared->flags = 0;
    grant_entry_v1_t *entry = &grant_table()[REF];
    entry->domid = back_dom;
    entry->frame = frame;
    __atomic_store_n(&entry->flags, GTF_permit_access, __ATOMIC_SEQ_CST);
    port = evtchn_alloc_unbound(back_dom);
    if (port < 0) return port;
    do {
        tx = xs_begin();
        write_number(tx, own, "pci-op-ref", REF);
        write_number(tx, own, "event-channel", port);
        xs_write(tx, path_of(own, "magic"), XEN_PCI_MAGIC);
    } while (xs_end(tx, 0) == -EAGAIN);
    switch_state(XenbusStateInitialised);
    return 0;
}

/* The back end's state has changed. */
void EXPORT(changed)(void)
{
    switch (read_number(other, "state")) {
    case XenbusStateConnected:
        switch_state(XenbusStateConnected);
        break;
    case XenbusStateReconfiguring:
        switch_state(XenbusStateReconfiguring);
        break;
    case XenbusStateReconfigured:
        switch_state(XenbusStateConnected);
        break;
    case XenbusStateClosing:
    case XenbusStateClosed:
        switch_state(XenbusStateClosed);
        break;
    default:
        break;
    }
}

static int operate(struct xen_pci_op *op)
{
    shared->op = *op;
    __atomic_fetch_or(&shared->flags, XEN_PCIF_active, __ATOMIC_SEQ_CST);
    evtchn_send(port);
    for (int waited = 0; __atomic_load_n(&shared->flags, __ATOMIC_SEQ_CST) & XEN_PCIF_active; waited += 100) {
        if (waited > TIMEOUT_MS) {
            __atomic_fetch_and(&shared->flags, ~XEN_PCIF_active, __ATOMIC_SEQ_CST);
            return XEN_PCI_ERR_dev_not_found;
        }
        evtchn_poll(port, 100);
    }
    *op = shared->op;
    return op->err;
}

static struct xen_pci_op last;

int EXPORT(config_read)(int devfn, int offset, int size)
{
    last = (struct xen_pci_op) { .cmd = XEN_PCI_OP_conf_read, .devfn = devfn, .offset = offset, .size = size };
    return operate(&last);
}

int EXPORT(config_write)(int devfn, int offset, int size, uint32_t value)
{
    last = (struct xen_pci_op) {
        .cmd = XEN_PCI_OP_conf_write, .devfn = devfn, .offset = offset, .size = size, .value = value,
    };
    return operate(&last);
}

int EXPORT(msi)(int devfn, int on)
{
    last = (struct xen_pci_op) { .cmd = on ? XEN_PCI_OP_enable_msi : XEN_PCI_OP_disable_msi, .devfn = devfn };
    return operate(&last);
}

int EXPORT(msix)(int devfn, int count)
{
    last = (struct xen_pci_op) { .cmd = count ? XEN_PCI_OP_enable_msix : XEN_PCI_OP_disable_msix, .devfn = devfn };
    last.value = count;
    for (int i = 0; i < count && i < SH_INFO_MAX_VEC; i++)
        last.msix_entries[i] = (struct xen_msix_entry) { .vector = 0xffff, .entry = i };
    return operate(&last);
}

/* Of the last answer. */
uint32_t EXPORT(value)(void)
{
    return last.value;
}

int EXPORT(vector)(int i)
{
    return last.msix_entries[i].vector;
}
