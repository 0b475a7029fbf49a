/** Why something is refused, or doubtful. The codes are stable; the order is that of the checks. */

interface Reason {
  readonly meaning: string;
  readonly remedy: string;
}

export const REASONS = {
  'no-such-device': { meaning: 'there is no device at the address', remedy: 'take an address that lspci lists' },
  bridge: { meaning: 'a bridge is not given to a guest', remedy: 'give away what is behind it' },
  'no-iommu': {
    meaning: 'without an IOMMU, or with one that is not used, a device reaches all memory, and libxl refuses',
    remedy: 'a machine with an IOMMU; serve --allow-unsafe-passthrough shows what happens without',
  },
  'no-interrupt-remapping': {
    meaning: 'a guest can make its device send any interrupt',
      remedy: 'a machine whose unit remaps interrupts, and a Xen that uses it',
  },
  'not-bound': { meaning: 'pciback does not have the device', remedy: 'xl pci-assignable-add' },
  'no-such-domain': { meaning: 'there is no domain of that name', remedy: 'xl list, xl create' },
  pvh: { meaning: 'a PVH guest gets no devices', remedy: 'create it as pv' },
  'hvm-passthrough': { meaning: 'an HVM guest gets no devices yet', remedy: 'create it as pv' },
  'domain-without-iommu': {
    meaning: 'the domain was created without IOMMU tables, and they do not come later',
    remedy: 'create it with the device, or with passthrough="enabled"',
  },
  'other-owner': { meaning: 'another domain has the device', remedy: 'xl pci-detach there' },
  'no-reset-method': {
    meaning: 'nothing resets the function, so what its last owner left in it stays',
      remedy: 'alone behind a root port it can be reset',
  },
  'page-shared': {
    meaning: 'another device\'s registers lie in the same page, and come with it',
      remedy: 'take the other device out of use, or move it',
  },
  'shared-intx': {
    meaning: 'another domain\'s device signals by the same interrupt line', remedy: 'take the other device out of use',
  },
  'reserved-memory-region': {
    meaning: 'firmware has reserved memory for the device\'s DMA, and it is mapped into the guest', remedy: 'rdm_policy=relaxed',
  },
  'alias-or-no-acs': {
    meaning: 'the IOMMU cannot tell the device from another, or does not see what passes between them',
    remedy: 'give all of them to one domain, or to nobody',
  },
  'msix-masked': { meaning: 'all MSI-X vectors are masked by the function mask', remedy: 'clear the mask' },
  'no-pcifront': { meaning: 'the guest has no PCI front end', remedy: 'create it with pcifront="linux"' },
  'magic-mismatch': { meaning: 'front and back end speak different versions', remedy: 'create it with pcifront="linux"' },
  'virtual-slots-full': { meaning: 'the virtual bus has 32 slots, and they are taken',
    remedy: 'xl pci-detach of another device' },
  'not-assigned': { meaning: 'the domain does not have the device', remedy: 'xl pci-attach' },
  'power-state': { meaning: 'a function that is not in D0 answers config cycles only',
    remedy: 'D0, by its power management registers' },
  'no-bar': { meaning: 'the device has no BAR of that kind, or none at the address', remedy: 'take an address that lspci lists' },
  'decode-off': { meaning: 'the function does not answer at its BARs', remedy: 'turn decode on in its command register' },
  'outside-rights': { meaning: 'the frame, port or interrupt is not among those that the domain may use',
    remedy: 'xl pci-attach gives them' },
  'bus-master-off': { meaning: 'the function may not do DMA', remedy: 'turn bus mastering on in its command register' },
  'no-interrupt': { meaning: 'the function has no way to signal, or none that is on', remedy: 'turn INTx or messages on' },
  'config-field-denied': {
    meaning: 'the field is the first domain\'s to write: the guest asks it by an operation', remedy: 'allow_interrupt_control',
  },
  'config-field-dropped': {
    meaning: 'a write goes nowhere, without an error',
      remedy: 'permissive, where the field is not one that is never the guest\'s',
  },
} as const satisfies Readonly<Record<string, Reason>>;

export type ReasonCode = keyof typeof REASONS;
