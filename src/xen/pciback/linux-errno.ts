/** Linux's error numbers that pciback answers with, beside XEN_PCI_ERR_*. */
export const ENXIO = 6;
export const ENOMEM = 12;
export const EFAULT = 14;
export const EINVAL = 22;
export const ENOSPC = 28;
export const EALREADY = 114;
