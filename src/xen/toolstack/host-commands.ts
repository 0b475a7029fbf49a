/** xl's commands about the machine. */

import type { Command, Invocation } from './command';
import type { Task } from '../schedule/scheduler';
import { MODEL } from './model';

const MIB_PAGES = 256;

function* info({ run }: Invocation): Task<number> {
  const { hypervisor } = run.parts;
  const { directio } = run.tools.domctl.physinfo();
  const rows: Array<[name: string, value: string | number]> = [
    ['host', MODEL.host], ['release', MODEL.linux], ['version', MODEL.linuxVersion], ['machine', 'x86_64'],
    ['nr_cpus', 1], ['max_cpu_id', 0], ['nr_nodes', 1], ['cores_per_socket', 1], ['threads_per_core', 1],
    ['virt_caps', ['pv', 'hvm', ...(directio ? ['hvm_directio', 'pv_directio'] : [])].join(' ')],
    ['total_memory', Math.floor(hypervisor.engine.frames / MIB_PAGES)],
    ['free_memory', Math.floor(hypervisor.freePages / MIB_PAGES)],
    ['sharing_freed_memory', 0], ['sharing_used_memory', 0], ['outstanding_claims', 0], ['free_cpus', 0],
    ['xen_major', MODEL.major], ['xen_minor', MODEL.minor], ['xen_extra', MODEL.extra],
    ['xen_version', `${MODEL.major}.${MODEL.minor}${MODEL.extra}`], ['xen_caps', 'xen-3.0-x86_64 hvm-3.0-x86_64'],
    ['xen_scheduler', 'credit2'], ['xen_pagesize', 4096], ['platform_params', 'virt_start=0xffff800000000000'],
    ['xend_config_format', 4],
  ];
  for (const [name, value] of rows) run.out.print(`${name.padEnd(23)}: ${value}`);
  return 0;
}

function* dmesg({ run, given }: Invocation): Task<number> {
  const { console } = run.parts.hypervisor;
  for (const line of console) run.out.print(line);
  if (given.has('c')) console.length = 0;
  return 0;
}

/** Xen prints on its own console: `xl dmesg` shows it. */
function* debugKeys({ run, operands }: Invocation): Task<number> {
  for (const key of operands[0] as string) run.parts.hypervisor.debugKeys(key);
  return 0;
}

export const HOST_COMMANDS: readonly Command[] = [
  { name: 'info', summary: 'About the machine', synopsis: '', options: { letters: 'n', long: { numa: 'n' } }, execute: info },
  {
    name: 'dmesg', summary: 'What Xen has printed', synopsis: '[-c]', options: { letters: 'c', long: { clear: 'c' } },
    details: ['-c  clear it'], execute: dmesg,
  },
  {
    name: 'debug-keys', summary: 'Have Xen print what it knows: q domains, e event channels, i interrupts, M MSI',
    synopsis: '<Keys>', operands: 1, execute: debugKeys,
  },
];
