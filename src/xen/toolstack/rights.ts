/** What a domain may reach of a device: I/O ports, I/O memory, the interrupt line. */

import { PortcullisError } from '../../errors';
import type { Bdf } from '../../pci/bdf';
import type { Range } from './domain-config';
import { RC, strerror } from './errors';
import type { AttachedDevice, DeviceResources } from './known-domain';
import { attempt, routingOf, type Run, type Undo } from './toolstack';

const hex = (value: number): string => value.toString(16);

function orFail(run: Run, name: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    run.fail(RC.FAIL, `${name} failed: ${strerror(error)}`);
  }
}

/** Gives all of it, in the order of the resources, the interrupt last. What has been given is taken back by `undo`. */
export function grantRights(run: Run, domid: number, { ports, frames, irq }: DeviceResources, undo: Undo): void {
  const { domctl, physdev, domains } = run.tools;
  const before = domains.get(domid)?.domain;
  // what it had already, by another device in the same page or on the same line, it keeps
  for (const { first, count } of ports) {
    const had = before?.ioport.has(first, first + count - 1) ?? false;
    orFail(run, `xc_domain_ioport_permission 0x${hex(first)}/0x${hex(count)}`,
      () => domctl.ioportPermission(domid, first, count, true));
    if (!had) undo.add('taking ports back', () => domctl.ioportPermission(domid, first, count, false));
  }
  for (const { first, count } of frames) {
    const had = before?.iomem.has(first, first + count - 1) ?? false;
    orFail(run, `xc_domain_iomem_permission 0x${hex(first)}/0x${hex(count)}`,
      () => domctl.iomemPermission(domid, first, count, true));
    if (!had) undo.add('taking I/O memory back', () => domctl.iomemPermission(domid, first, count, false));
  }
  if (irq === undefined) return;
  const had = sharesIrq(run, domid, irq, undefined);
  if (!had) {
    orFail(run, `xc_physdev_map_pirq irq=${irq}`, () => { physdev.mapPirq({ domid, type: 'gsi', index: irq, pirq: irq }); });
    undo.add(`xc_physdev_unmap_pirq irq=${irq}`, () => physdev.unmapPirq(domid, irq));
  }
  orFail(run, `xc_domain_irq_permission irq=${irq}`, () => domctl.irqPermission(domid, irq, true));
  if (!had) undo.add('taking the interrupt back', () => domctl.irqPermission(domid, irq, false));
}

/** What the domain's devices need, but for one of them. */
function others(run: Run, domid: number, bdf: Bdf | undefined): DeviceResources[] {
  const all = run.tools.domains.get(domid)?.devices ?? [];
  return all.filter((one) => bdf === undefined || routingOf(one.bdf) !== routingOf(bdf)).map(({ resources }) => resources);
}

function sharesIrq(run: Run, domid: number, irq: number, bdf: Bdf | undefined): boolean {
  return others(run, domid, bdf).some((one) => one.irq === irq);
}

/** `range` without what is in `kept`. */
function without(range: Range, kept: readonly Range[]): Range[] {
  let left = [range];
  for (const { first, count } of kept) {
    left = left.flatMap((one) => [
      { first: one.first, count: Math.min(one.count, first - one.first) },
      { first: Math.max(one.first, first + count), count: one.first + one.count - Math.max(one.first, first + count) },
    ].filter((piece) => piece.count > 0));
  }
  return left;
}

/**
 * Takes the rights to a device from a domain, and its live mappings with them, which are told. What another device of
 * the domain needs as well stays. With `xenRevoke` it is Xen's way: all of it goes, and mappings stay. Every step is
 * tried; whether all went well.
 */
export function revokeRights(run: Run, domid: number, { bdf, resources }: AttachedDevice): boolean {
  const { domctl, physdev, parts } = run.tools;
  const kept = parts.xenRevoke ? [] : others(run, domid, bdf);
  let clean = true;
  const step = (name: string, work: () => void): void => {
    clean = attempt(run.out, name, work) && clean;
  };
  for (const range of resources.ports.flatMap((one) => without(one, kept.flatMap(({ ports }) => ports)))) {
    step(`xc_domain_ioport_permission 0x${hex(range.first)}/0x${hex(range.count)}`,
      () => domctl.ioportPermission(domid, range.first, range.count, false));
  }
  let mappings = 0;
  for (const range of resources.frames.flatMap((one) => without(one, kept.flatMap(({ frames }) => frames)))) {
    step(`xc_domain_iomem_permission 0x${hex(range.first)}/0x${hex(range.count)}`,
      () => domctl.iomemPermission(domid, range.first, range.count, false));
    if (parts.xenRevoke) continue;
    step('unmapping', () => { mappings += parts.hypervisor.unmapIoMemory(domid, range.first, range.count); });
  }
  if (mappings > 0) {
    run.out.warn(`domain ${domid} still had ${mappings} page${mappings === 1 ? '' : 's'} of the device mapped; unmapped`);
  }
  const { irq } = resources;
  if (irq !== undefined && (parts.xenRevoke || !sharesIrq(run, domid, irq, bdf))) {
    step(`xc_physdev_unmap_pirq irq=${irq}`, () => physdev.unmapPirq(domid, irq));
    step(`xc_domain_irq_permission irq=${irq}`, () => domctl.irqPermission(domid, irq, false));
  }
  return clean;
}
