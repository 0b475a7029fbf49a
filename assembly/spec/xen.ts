/** Numbers of Xen's public headers: xen.h, event_channel.h, grant_table.h, errno.h. All layouts are x86-64's. */

/** Offsets in the shared info page, and in a vcpu_info of 64 bytes (public/xen.h). */
export const enum SharedInfo {
  VCPU_INFO = 0,
  VCPU_INFO_SIZE = 64,
  VCPUS = 32,
  EVTCHN_PENDING = 2048,
  EVTCHN_MASK = 2560,
  // in a vcpu_info
  UPCALL_PENDING = 0,
  UPCALL_MASK = 1,
  PENDING_SEL = 8,
}

/** The 2-level ABI (public/event_channel.h, EVTCHN_2L_NR_CHANNELS). */
export const enum Evtchn {
  PORTS = 4096,
  /** NR_VIRQS. */
  VIRQS = 24,
  /** Physical interrupts of a domain: those of the I/O APIC from 0 up, messages from the top down. */
  PIRQS = 256,
  /** BIND_PIRQ__WILL_SHARE. */
  WILL_SHARE = 1,
}

/** XENMEM_* (public/memory.h). */
export const enum MemoryOp {
  EXCHANGE = 11,
}

/** Numbers of domctl (public/domctl.h). */
export const enum DomctlOp {
  DESTROYDOMAIN = 2,
  PAUSEDOMAIN = 3,
  UNPAUSEDOMAIN = 4,
  IRQ_PERMISSION = 19,
  IOMEM_PERMISSION = 20,
  IOPORT_PERMISSION = 21,
  ASSIGN_DEVICE = 37,
  MEMORY_MAPPING = 39,
  IOPORT_MAPPING = 40,
  TEST_ASSIGN_DEVICE = 45,
  DEASSIGN_DEVICE = 47,
}

/** struct xen_domctl. */
export const enum DomctlArg {
  SIZE = 144,
  VERSION = 4,
  DOMAIN = 8,
  UNION = 16,
  /** XEN_DOMCTL_INTERFACE_VERSION of Xen 4.17. */
  INTERFACE_VERSION = 0x15,
}

/** VIRQ_* (public/xen.h). */
export const enum Virq {
  TIMER = 0,
  DOM_EXC = 3,
}

/** EVTCHNSTAT_*: what a port is. */
export const enum PortState {
  CLOSED = 0,
  UNBOUND = 1,
  INTERDOMAIN = 2,
  PIRQ = 3,
  VIRQ = 4,
  IPI = 5,
}

/** Numbers of event_channel_op. */
export const enum EvtchnOp {
  BIND_INTERDOMAIN = 0,
  BIND_VIRQ = 1,
  BIND_PIRQ = 2,
  CLOSE = 3,
  SEND = 4,
  STATUS = 5,
  ALLOC_UNBOUND = 6,
  BIND_IPI = 7,
  BIND_VCPU = 8,
  UNMASK = 9,
  RESET = 10,
}

/** public/errno.h, as positive numbers. */
export const enum XenErrno {
  EPERM = 1,
  ENOENT = 2,
  ESRCH = 3,
  EFAULT = 14,
  EBUSY = 16,
  EINVAL = 22,
  ENOSYS = 38,
}

/** Numbers of grant_table_op (public/grant_table.h). */
export const enum GrantOp {
  MAP_GRANT_REF = 0,
  UNMAP_GRANT_REF = 1,
  SETUP_TABLE = 2,
  TRANSFER = 4,
  COPY = 5,
  QUERY_SIZE = 6,
  UNMAP_AND_REPLACE = 7,
  SET_VERSION = 8,
  GET_STATUS_FRAMES = 9,
  GET_VERSION = 10,
  SWAP_GRANT_REF = 11,
}

/** GNTST_*, with the sign turned: the two languages read a negative constant differently. */
export const enum GrantStatus {
  OKAY = 0,
  GENERAL_ERROR = 1,
  BAD_DOMAIN = 2,
  BAD_GNTREF = 3,
  BAD_HANDLE = 4,
  BAD_VIRT_ADDR = 5,
  BAD_DEV_ADDR = 6,
  NO_DEVICE_SPACE = 7,
  PERMISSION_DENIED = 8,
  BAD_PAGE = 9,
  BAD_COPY_ARG = 10,
  ADDRESS_TOO_BIG = 11,
  EAGAIN = 12,
  NO_SPACE = 13,
}

/** GTF_*: flags of a grant entry. */
export const enum Gtf {
  TYPE_MASK = 3,
  INVALID = 0,
  PERMIT_ACCESS = 1,
  ACCEPT_TRANSFER = 2,
  TRANSITIVE = 3,
  READONLY = 4,
  READING = 8,
  WRITING = 16,
  SUB_PAGE = 256,
  /** Of an accept_transfer entry. */
  TRANSFER_COMMITTED = 4,
  TRANSFER_COMPLETED = 8,
}

/** Entries of the tables: version 1 of 8 bytes, version 2 of 16 with a status word beside the table. */
export const enum GrantEntry {
  V1_SIZE = 8,
  V1_PER_PAGE = 512,
  V2_SIZE = 16,
  V2_PER_PAGE = 256,
  STATUS_PER_PAGE = 2048,
  /** References that the toolstack uses: 0 console, 1 xenstore. */
  RESERVED = 8,
  FLAGS = 0,
  DOMID = 2,
  V1_FRAME = 4,
  V2_PAGE_OFF = 4,
  V2_LENGTH = 6,
  V2_FRAME = 8,
  V2_TRANS_DOMID = 4,
  V2_TRANS_REF = 8,
}

/** GNTMAP_*: flags of map_grant_ref. */
export const enum GntMap {
  DEVICE_MAP = 1,
  HOST_MAP = 2,
  READONLY = 4,
  APPLICATION_MAP = 8,
  CONTAINS_PTE = 16,
}

/** struct gnttab_map_grant_ref, unmap_grant_ref (and unmap_and_replace), copy: sizes and offsets. */
export const enum GrantArg {
  MAP_SIZE = 32,
  MAP_HOST_ADDR = 0,
  MAP_FLAGS = 8,
  MAP_REF = 12,
  MAP_DOM = 16,
  MAP_STATUS = 18,
  MAP_HANDLE = 20,
  MAP_DEV_BUS_ADDR = 24,

  UNMAP_SIZE = 24,
  UNMAP_HOST_ADDR = 0,
  /** New address, for unmap_and_replace. */
  UNMAP_DEV_BUS_ADDR = 8,
  UNMAP_HANDLE = 16,
  UNMAP_STATUS = 20,

  COPY_SIZE = 40,
  COPY_SOURCE = 0,
  COPY_DEST = 16,
  // of either side
  COPY_FRAME = 0,
  COPY_DOMID = 8,
  COPY_OFFSET = 10,
  COPY_LEN = 32,
  COPY_FLAGS = 34,
  COPY_STATUS = 36,
  /** GNTCOPY_source_gref, GNTCOPY_dest_gref. */
  SOURCE_GREF = 1,
  DEST_GREF = 2,
}
