// What a PV guest cannot reach: every combination of frame, port, width and interrupt, before it has a device, with one,
// with another, and after.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FRAMES_MAX } from '../../../src/engine/index';
import type { Machine } from '../../../src/machine/machine';
import { xlMachine } from '../../helpers/xl-machine';

const test = suite('rights of a PV guest');

/** BARs of the devices: frames of memory, ports. */
const PLACES: ReadonlyArray<{ bdf: string; memory: ReadonlyArray<[first: number, count: number]>; ports: ReadonlyArray<[first: number, count: number]> }> = [
  { bdf: '00:04.0', memory: [[0xf0100, 32]], ports: [[0xc000, 64]] },
  { bdf: '00:05.0', memory: [[0xf0120, 32], [0xf0140, 32], [0xf0160, 4]], ports: [[0xc040, 32]] },
  { bdf: '00:06.0', memory: [[0xf0000, 256]], ports: [] },
];
/** Config ports, keyboard, timer, PICs, serial, the ends of the space. */
const BOARD_PORTS = [0, 0x20, 0x40, 0x60, 0x64, 0x70, 0xa0, 0x3f8, 0xcf8, 0xcf9, 0xcfa, 0xcfb, 0xcfc, 0xcfd, 0xcfe, 0xcff, 0xd00, 0xfffc, 0xfffd, 0xffff];
/** ECAM's first, second and last frame and that of 00:04.0; IO-APIC, IOMMU, interrupt window, firmware; nothing at all. */
const BOARD_FRAMES = [0xe0000, 0xe0001, 0xe0020, 0xeffff, 0xfec00, 0xfed90, 0xfee00, 0xfeeff, 0xfffff, 0xa0, 0xc0, FRAMES_MAX - 1, FRAMES_MAX];
const PAGE = 0x90000;
const SELF = 0x7ff0;
const IO = 0x7ff1;
const WIDTHS = [1, 2, 4] as const;

const within = (ranges: ReadonlyArray<[number, number]>, first: number, count: number): boolean =>
  Array.from({ length: count }, (_, index) => first + index).every((at) => ranges.some(([from, size]) => at >= from && at < from + size));

const edges = ([first, count]: [number, number]): number[] =>
  [-4, -3, -2, -1, 0, 1, 2, 3].flatMap((by) => [first + by, first + count + by]);

/** Whether Xen did it. */
function done(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    assert.match((error as { code: string }).code, /^E[A-Z]+$/);
    return false;
  }
}

/** Tries everything; `had` are the devices that the guest has. Tells how many tries there were. */
function tryAll(machine: Machine, domid: number, had: readonly string[], phase: string): number {
  const { hypervisor, engine } = machine;
  const { exports } = engine;
  const { slot } = hypervisor.domain(domid);
  const own = PLACES.filter(({ bdf }) => had.includes(bdf));
  const [memory, ports] = [own.flatMap((one) => one.memory), own.flatMap((one) => one.ports)];
  let tries = 0;
  const others = hypervisor.domains.filter((one) => one.domid !== domid).flatMap(({ p2m }) => [p2m[0], p2m[p2m.length - 1]] as number[]);
  const frames = new Set([...BOARD_FRAMES, ...others, ...PLACES.flatMap((one) => one.memory).flatMap((range) =>
    [...edges(range), ...Array.from({ length: range[1] }, (_, index) => range[0] + index)])]);
  for (const mfn of frames) {
    for (const writable of [true, false]) {
      for (const foreign of [undefined, SELF, IO, 0, domid]) {
        const went = done(() => (foreign === undefined ? hypervisor.updateVaMapping(domid, PAGE, mfn, writable)
          : hypervisor.updateVaMappingOther(domid, PAGE, mfn, writable, foreign)));
        const expected = within(memory, mfn, 1) && (foreign === undefined || foreign === SELF || foreign === IO);
        assert.is(went, expected, `${phase}: frame ${mfn.toString(16)} ${writable ? '' : 'not '}writable, of ${foreign}`);
        if (went) hypervisor.unmapVa(domid, PAGE);
        assert.is(exports.guestLoad(slot, PAGE * 4096, 0, 4), -1, 'nothing is mapped');
        tries++;
      }
    }
  }
  const refused = (): number => engine.counters().guestRefused;
  const allPorts = new Set([...BOARD_PORTS, ...PLACES.flatMap((one) => one.ports).flatMap((range) => edges(range))]);
  for (const port of allPorts) {
    for (const width of WIDTHS) {
      for (const write of [false, true]) {
        const before = refused();
        if (write) exports.guestOut(slot, port, width, 0x80002004 | 0);
        else exports.guestIn(slot, port, width);
        assert.is(refused() - before, within(ports, port, width) ? 0 : 1, `${phase}: ${write ? 'out' : 'in'} ${port.toString(16)}, ${width} bytes`);
        tries++;
      }
    }
  }
  const mapped = new Set(hypervisor.domain(domid).pirqs.keys());
  for (let pirq = 0; pirq < 256; pirq++) {
    if (mapped.has(pirq) || hypervisor.messages.list().some((one) => one.domid === domid && one.pirq === pirq)) continue;
    for (const flags of [0, 1]) {
      assert.not.ok(done(() => hypervisor.events.bindPirq(domid, pirq, flags)), `${phase}: interrupt ${pirq}`);
      tries++;
    }
  }
  if (had.length === 0) assert.is(mapped.size, 0, `${phase}: no interrupts`);
  return tries;
}

test('memory, ports and interrupts outside of its devices are refused, whatever it has had', async () => {
  const one = await xlMachine();
  const { machine } = one;
  for (const { bdf, memory } of PLACES) {
    assert.is(machine.barAddress(`0000:${bdf}`, 0), (memory[0]?.[0] as number) * 4096, bdf);
    assert.is(one.run('pci-assignable-add', bdf).code, 0);
  }
  const made = one.create('name = "guest"\nmemory = 4\nkernel = "builtin:idle"\npassthrough = "enabled"\n');
  assert.is(made.code, 0, made.stderr);
  const domid = machine.hypervisor.domains.at(-1)?.domid as number;
  let tries = tryAll(machine, domid, [], 'before');
  let had: string[] = [];
  const change = (command: 'pci-attach' | 'pci-detach', bdf: string): void => {
    const result = one.run(command, 'guest', bdf);
    assert.is(result.code, 0, result.stderr);
    machine.run(1e6);
    had = command === 'pci-attach' ? [...had, bdf] : had.filter((other) => other !== bdf);
    tries += tryAll(machine, domid, had, `after ${command} ${bdf}`);
  };
  for (const { bdf } of PLACES) change('pci-attach', bdf);
  for (const { bdf } of PLACES) change('pci-detach', bdf);
  for (const { bdf } of PLACES) {
    change('pci-attach', bdf);
    change('pci-detach', bdf);
  }
  // the config space of a device that it has, by the ways that are not its own
  change('pci-attach', '00:04.0');
  const result = one.run('pause', 'guest');
  assert.is(result.code, 0);
  tries += tryAll(machine, domid, had, 'paused');
  assert.ok(tries > 50_000, `${tries} tries`);
});

test.run();
