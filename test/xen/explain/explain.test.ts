import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseExplainArgs } from '../../../src/xen/explain/arguments';
import { exitCodeOf, explain } from '../../../src/xen/explain/explain';
import { REASONS } from '../../../src/xen/explain/reasons';
import { explainDocument, explainText, remedyText } from '../../../src/xen/explain/text';
import type { DeviceFacts, DomainFacts, ExplainFacts, Explanation, Outcome } from '../../../src/xen/explain/types';

/** A network card that pciback has, with all that a guest could wish. */
const NIC: DeviceFacts = {
  bdf: '0000:00:04.0', bridge: false, bridges: [], driver: 'pciback', owner: 0x7ff1, promisedTo: undefined,
  bars: [{ index: 0, io: false, address: 0xfe640000, size: 0x20000 }, { index: 1, io: true, address: 0xd2c0, size: 64 }],
  gsi: 20, resettable: true, reserved: [], aliases: [], peers: [],
  capabilities: [{ id: 0x05, off: 0x50, version: undefined }, { id: 0x11, off: 0xa0, version: undefined }],
  msix: { enabled: false, masked: false }, msi: { enabled: false }, command: 0x0107, powered: true, permissive: false,
  interruptControl: false,
  fields: [{ name: 'Command', off: 4, size: 2, writable: true, interruptControl: false },
    { name: 'Interrupt Line', off: 0x3c, size: 1, writable: false, interruptControl: false },
    { name: 'BAR 0', off: 0x10, size: 4, writable: true, interruptControl: false },
    { name: 'MSI Control', off: 0x52, size: 2, writable: true, interruptControl: true }],
};
const OTHER: DeviceFacts = {
  ...NIC, bdf: '0000:00:0c.0', driver: 'e1000', owner: 0, gsi: 16, bars: [{ index: 0, io: false, address: 0xfe6ca000, size: 256 }],
};
const GUEST: DomainFacts = {
  domid: 3, name: 'guest', kind: 'pv', iommu: true, pcifront: true, relaxed: false, pci: undefined,
  mayMap: () => true, mayUsePorts: () => true, mayUseInterrupt: () => true, dmaReaches: () => true,
};
const ENDS = { frontState: 4, backState: 4, magic: '7', freeSlots: 30, devices: ['0000:00:06.0'] };
const DOM0: DomainFacts = { ...GUEST, domid: 0, name: 'Domain-0' };

interface World {
  nic?: Partial<DeviceFacts>;
  other?: Partial<DeviceFacts>;
  guest?: Partial<DomainFacts>;
  machine?: Partial<Pick<ExplainFacts, 'iommu' | 'interruptRemapping' | 'unsafePassthrough'>>;
}

function factsOf({ nic = {}, other = {}, guest = {}, machine = {} }: World): ExplainFacts {
  const domains = [DOM0, { ...GUEST, ...guest }, { ...GUEST, domid: 5, name: 'second' }];
  return {
    iommu: true, interruptRemapping: true, unsafePassthrough: false, ...machine,
    devices: [{ ...NIC, ...nic }, { ...OTHER, ...other }],
    domain: (name) => domains.find((one) => one.name === name || String(one.domid) === String(name)),
  };
}

const ask = (world: World, line: string): Explanation => explain(factsOf(world), parseExplainArgs(line.split(' ')));

/** World, question, what the check of that name finds, what its first remedy is. */
type Case = [world: World, question: string, outcome: Outcome, sentence: RegExp, remedy: string | undefined];

const GIVE = '00:04.0 --domain guest';
const HAS = { owner: 3, promisedTo: 3 };
const CASES: Record<keyof typeof REASONS, Case[]> = {
  'no-such-device': [[{}, '00:1e.0', 'refused', /there is no device 0000:00:1e\.0/, 'take an address that portcullis lspci lists']],
  bridge: [
    [{ nic: { bridge: true } }, GIVE, 'refused', /0000:00:04\.0 is a bridge, and nothing is behind it/, undefined],
    [{ nic: { bridge: true }, other: { bridges: ['0000:00:04.0'] } }, GIVE, 'refused', /; 0000:00:0c\.0 behind it/, 'portcullis explain 0000:00:0c.0']],
  'no-iommu': [
    [{ machine: { iommu: false } }, GIVE, 'refused', /^passthrough not supported on this platform/, 'in the machine\'s file: "iommu": "vtd"'],
    [{ machine: { iommu: false, unsafePassthrough: true } }, GIVE, 'warning', /reaches all memory/, 'in the machine\'s file: "iommu": "vtd"'],
    [{ nic: HAS, machine: { iommu: false } }, `${GIVE} --access dma`, 'warning', /reaches all memory/, 'in the machine\'s file: "iommu": "vtd"']],
  'no-interrupt-remapping': [
    [{ machine: { interruptRemapping: false } }, GIVE, 'warning', /can send any/, 'take intremap=off out of Xen\'s command line in the machine\'s file'],
    [{ nic: HAS, machine: { interruptRemapping: false } }, `${GIVE} --access irq`, 'warning', /can send any/, undefined]],
  'not-bound': [
    [{ nic: { driver: 'e1000', owner: 0 } }, GIVE, 'refused', /is bound to e1000/, 'portcullis xl pci-assignable-add 0000:00:04.0'],
    [{ nic: { driver: undefined, owner: 0 } }, '00:04.0', 'refused', /has no driver/, 'portcullis xl pci-assignable-add 0000:00:04.0']],
  'no-such-domain': [[{}, '00:04.0 --domain nosuch', 'refused', /there is no domain nosuch/, 'take one that portcullis xl list shows, or create it']],
  pvh: [[{ guest: { kind: 'pvh' } }, GIVE, 'refused', /^passthrough not yet supported for x86 PVH guests/, 'portcullis xl destroy guest']],
  'hvm-passthrough': [[{ guest: { kind: 'hvm' } }, GIVE, 'refused', /is hvm/, 'portcullis xl destroy guest']],
  'domain-without-iommu': [[{ guest: { iommu: false } }, GIVE, 'refused', /without passthrough/, 'portcullis xl destroy guest']],
  'other-owner': [
    [{ nic: { owner: 5, promisedTo: 5 } }, GIVE, 'refused', /0000:00:04\.0 is second's/, 'portcullis xl pci-detach second 0000:00:04.0'],
    [{ nic: { promisedTo: 5 } }, '00:04.0', 'refused', /is second's/, 'portcullis xl pci-detach second 0000:00:04.0'],
    [{ nic: HAS }, GIVE, 'ok', /guest has it already/, undefined]],
  'no-reset-method': [
    [{ nic: { resettable: false } }, GIVE, 'warning', /does not support reset from sysfs for 0000:00:04\.0/,
      'put it behind a root port of its own, whose bus can be reset: {"model": "root-port", …}'],
    [{ nic: { resettable: 'unknown' } }, GIVE, 'unknown', /not in the dump/, undefined]],
  'page-shared': [
    [{ nic: { bars: [{ index: 0, io: false, address: 0xfe6ca100, size: 256 }] } }, GIVE, 'warning', /0000:00:0c\.0 \(Domain-0\)/,
      'portcullis xl pci-assignable-add 0000:00:0c.0'],
    [{ nic: { bars: [{ index: 0, io: false, address: 0xfe6ca100, size: 256 }] }, other: { owner: 5 } }, GIVE, 'warning', /\(second\)/,
      'portcullis xl pci-detach second 0000:00:0c.0'],
    [{ nic: { bars: [{ index: 0, io: false, address: 0xfe6ca100, size: 256 }] }, other: { owner: 0x7ff1, driver: 'pciback' } }, GIVE, 'ok',
      /which nobody uses/, undefined],
    // a BAR at fe6c8000 can have 32 KiB at most, and then the other is in it
    [{ nic: { bars: [{ index: 0, io: false, address: 0xfe6c8000, size: 'unknown' }] } }, GIVE, 'unknown', /size is not in the dump/, undefined],
    [{ nic: { bars: [{ index: 0, io: false, address: 0xfe6c9000, size: 'unknown' }] } }, GIVE, 'ok', /no other device/, undefined],
    [{ nic: { ...HAS, bars: [{ index: 0, io: false, address: 0xfe6ca100, size: 256 }] } }, `${GIVE} --access mmio`, 'warning',
      /guest reaches registers of 0000:00:0c\.0/, undefined]],
  'shared-intx': [
    [{ other: { gsi: 20 } }, GIVE, 'warning', /shares interrupt 20 with 0000:00:0c\.0 \(Domain-0\)/, 'portcullis xl pci-assignable-add 0000:00:0c.0'],
    [{ other: { gsi: 20, driver: undefined } }, GIVE, 'ok', /which nobody uses/, undefined],
    [{ nic: { gsi: 'unknown' } }, GIVE, 'unknown', /not in the dump/, undefined],
    [{ nic: { gsi: undefined } }, GIVE, 'ok', /no INTx pin/, undefined]],
  'reserved-memory-region': [
    [{ nic: { reserved: [{ start: 0xbf000000, end: 0xbf0fffff, others: ['0000:00:0c.0'] }] } }, GIVE, 'refused', /0xbf000000 to 0xbf0fffff with 0000:00:0c\.0/,
      'portcullis xl pci-attach guest 0000:00:04.0,rdm_policy=relaxed'],
    [{ nic: { reserved: [{ start: 0xbf000000, end: 0xbf0fffff, others: [] }] } }, GIVE, 'warning', /is the guest's to read and write/, undefined],
    [{ nic: { reserved: 'unknown' } }, GIVE, 'unknown', /not in a dump/, undefined]],
  'alias-or-no-acs': [
    [{ nic: { aliases: ['0000:00:0c.0'] } }, GIVE, 'warning', /bears the same id as that of 0000:00:0c\.0/, 'portcullis xl pci-assignable-add 0000:00:0c.0'],
    [{ nic: { peers: ['0000:00:0c.0'] } }, GIVE, 'warning', /without access control services/, 'portcullis xl pci-assignable-add 0000:00:0c.0'],
    [{ nic: { peers: 'unknown' } }, GIVE, 'unknown', /not in the dump/, undefined]],
  'msix-masked': [
    [{ nic: { msix: { enabled: false, masked: true } } }, GIVE, 'refused', /all vectors of 0000:00:04\.0 are masked/,
      'portcullis setpci -s 0000:00:04.0 CAP_MSIX+2.W=0:4000'],
    [{ nic: { msix: 'unknown' } }, GIVE, 'unknown', /not in the dump/, undefined],
    [{ nic: { ...HAS, msix: { enabled: true, masked: true } } }, `${GIVE} --access irq`, 'refused', /are masked/,
      'portcullis setpci -s 0000:00:04.0 CAP_MSIX+2.W=0:4000']],
  'no-pcifront': [[{ guest: { pcifront: false } }, GIVE, 'refused', /guest has no PCI front end/, 'portcullis xl destroy guest']],
  'magic-mismatch': [[{ guest: { pci: { ...ENDS, magic: '6' } } }, GIVE, 'refused', /speaks version 6, pciback 7/, 'portcullis xl destroy guest']],
  'virtual-slots-full': [
    [{ guest: { pci: { ...ENDS, freeSlots: 0 } } }, GIVE, 'refused', /no slot left/, 'portcullis xl pci-detach guest 0000:00:06.0'],
    [{ guest: { pci: { ...ENDS, freeSlots: 0, devices: ['0000:00:04.1'] } } }, GIVE, 'ok', /it has a slot/, undefined]],
  'not-assigned': [
    [{}, `${GIVE} --access mmio`, 'refused', /guest does not have 0000:00:04\.0/, 'portcullis xl pci-attach guest 0000:00:04.0'],
    [{}, '00:04.0 --domain Domain-0 --access dma', 'refused', /Domain-0 does not have/, 'portcullis xl pci-assignable-remove -r 0000:00:04.0']],
  'power-state': [
    [{ nic: { ...HAS, powered: false } }, `${GIVE} --access dma`, 'refused', /config cycles only/, 'portcullis setpci -s 0000:00:04.0 CAP_PM+4.W=0:3'],
    [{ nic: { ...HAS, powered: 'unknown' } }, `${GIVE} --access dma`, 'unknown', /not in the dump/, undefined]],
  'no-bar': [[{ nic: { ...HAS, bars: [] } }, `${GIVE} --access port`, 'refused', /has no ports BAR/, 'portcullis lspci -v -s 0000:00:04.0']],
  'decode-off': [
    [{ nic: { ...HAS, command: 1 } }, `${GIVE} --access mmio`, 'refused', /does not answer at its memory/, 'portcullis setpci -s 0000:00:04.0 COMMAND=2:2'],
    [{ nic: { ...HAS, command: 2 } }, `${GIVE} --access port`, 'refused', /does not answer at its ports/, 'portcullis setpci -s 0000:00:04.0 COMMAND=1:1']],
  'outside-rights': [
    [{ nic: HAS, guest: { mayMap: (first, count) => first !== 0xfe640 || count !== 0x20 } }, `${GIVE} --access mmio`, 'refused', /frames fe640-fe65f are not among those/,
      'portcullis xl pci-detach guest 0000:00:04.0'],
    [{ nic: HAS, guest: { mayMap: (first) => first !== 0xfe6ca } }, `${GIVE} --access mmio:fe6ca000`, 'refused', /frame fe6ca is not among/,
      'create guest with iomem = ["fe6ca,1"]'],
    [{ nic: HAS, guest: { mayUsePorts: (first, count) => first !== 0xd2c0 || count !== 64 } }, `${GIVE} --access port:d2d0`, 'refused', /ports d2c0-d2ff/,
      'portcullis xl pci-detach guest 0000:00:04.0'],
    [{ nic: HAS, guest: { mayUsePorts: () => false } }, `${GIVE} --access port:60`, 'refused', /port 60 is not/, 'create guest with ioports = ["60"]'],
    [{ nic: HAS, guest: { dmaReaches: (mfn) => mfn !== 0x1234 } }, `${GIVE} --access dma:1234800`, 'refused', /frame 1234 is not in the tables of guest/,
      'a frame becomes reachable when the domain has it, or has mapped a grant of it'],
    [{ nic: HAS, guest: { mayUseInterrupt: (gsi) => gsi !== 20 } }, `${GIVE} --access irq`, 'refused', /interrupt 20 is not/,
      'portcullis xl pci-detach guest 0000:00:04.0']],
  'bus-master-off': [[{ nic: { ...HAS, command: 3 } }, `${GIVE} --access dma`, 'refused', /may do no DMA/, 'portcullis setpci -s 0000:00:04.0 COMMAND=4:4']],
  'no-interrupt': [
    [{ nic: { ...HAS, command: 0x407 } }, `${GIVE} --access irq`, 'refused', /INTx of 0000:00:04\.0 is off/, 'portcullis setpci -s 0000:00:04.0 COMMAND=0:400'],
    [{ nic: { ...HAS, gsi: undefined } }, `${GIVE} --access irq`, 'refused', /has no INTx pin/, 'the guest\'s driver turns messages on'],
    [{ nic: { ...HAS, msi: 'unknown' } }, `${GIVE} --access irq`, 'unknown', /not in the dump/, undefined]],
  'config-field-denied': [
    [{ nic: HAS }, `${GIVE} --access config:CAP_MSI+2.w`, 'refused', /MSI Control is written by Domain-0/,
      'portcullis sysfs write /sys/bus/pci/drivers/pciback/allow_interrupt_control 0000:00:04.0']],
  'config-field-dropped': [
    [{ nic: HAS }, `${GIVE} --access config:40.l`, 'refused', /a write of 40\.L at 0x40 is dropped, with success/,
      'portcullis sysfs write /sys/bus/pci/drivers/pciback/permissive 0000:00:04.0'],
    [{ nic: { ...HAS, permissive: true } }, `${GIVE} --access config:40.l`, 'ok', /goes to the hardware/, undefined],
    [{ nic: HAS }, `${GIVE} --access config:INTERRUPT_LINE`, 'refused', /Interrupt Line is never the guest's/, 'no setting lets a guest write it'],
    [{ nic: HAS }, `${GIVE} --access config:COMMAND`, 'ok', /Bus Master and MWI reach the hardware/, undefined],
    [{ nic: HAS }, `${GIVE} --access config:BASE_ADDRESS_0`, 'ok', /all ones give the size/, undefined],
    [{ nic: HAS }, `${GIVE} --access config:41.w`, 'refused', /not aligned to its 2 bytes; the answer is 0x87/, undefined],
    [{ nic: HAS }, `${GIVE} --access config:CAP_EXP+8.w`, 'refused', /has no capability/, 'portcullis lspci -vv -s 0000:00:04.0'],
    [{ nic: { ...HAS, capabilities: 'unknown' } }, `${GIVE} --access config:CAP_EXP+8.w`, 'unknown', /not in the dump/, undefined]],
};

for (const [reason, cases] of Object.entries(CASES)) {
  test(`reason ${reason}`, () => {
    for (const [world, question, outcome, sentence, remedy] of cases) {
      const explanation = ask(world, question);
      const check = [...explanation.checks].reverse().find((one) => one.reason === reason);
      assert.is(check?.outcome, outcome, `${question}: ${JSON.stringify(explanation.checks.at(-1))}`);
      assert.match(check?.sentence ?? '', sentence);
      const [first] = check?.remedies ?? [];
      assert.is(first === undefined ? undefined : remedyText(first), remedy);
      if (outcome === 'refused') {
        assert.equal([explanation.verdict, explanation.decisive, explanation.checks.at(-1)?.reason], ['refused', reason, reason]);
      }
      if (outcome === 'unknown') assert.equal([explanation.verdict, explanation.decisive], ['unknown', reason]);
      if (outcome === 'warning' || outcome === 'ok') assert.is(explanation.verdict, 'allowed');
      assert.is(exitCodeOf(explanation), outcome === 'refused' || outcome === 'unknown' ? 1 : 0);
    }
  });
}

test('the order is that of assignable-add, create, attach, and the ends', () => {
  assert.equal(ask({ guest: { pci: ENDS } }, GIVE).checks.map(({ reason }) => reason), [
    'no-such-device', 'no-such-domain', 'bridge', 'no-iommu', 'no-interrupt-remapping', 'not-bound', 'pvh', 'domain-without-iommu',
    'other-owner', 'no-reset-method', 'page-shared', 'shared-intx', 'reserved-memory-region', 'alias-or-no-acs', 'msix-masked',
    'no-pcifront', 'magic-mismatch', 'virtual-slots-full']);
  // two things are wrong: the first one decides
  assert.is(ask({ nic: { driver: 'e1000', owner: 0 }, guest: { kind: 'pvh' } }, GIVE).decisive, 'not-bound');
});

test('an access without a domain is that of whoever has the device', () => {
  const guest = ask({ nic: HAS }, '00:04.0 --access dma');
  assert.is(guest.checks.find(({ reason }) => reason === 'not-assigned')?.sentence, 'guest has it');
  const first = ask({ nic: { owner: 0, driver: 'e1000' } }, '00:04.0 --access mmio');
  assert.is(first.checks.find(({ reason }) => reason === 'not-assigned')?.sentence, 'Domain-0 has it');
});

test('the text: question, a line for each check with its mark, remedies, answer', () => {
  const text = explainText(ask({ nic: { driver: 'e1000', owner: 0 } }, '00:04.0'));
  assert.is(text, `Can 0000:00:04.0 be given to a guest?
  ✓ no-such-device          0000:00:04.0 is there
  ✓ bridge                  it is no bridge
  ✓ no-iommu                the machine has an IOMMU, and Xen uses it
  ✓ no-interrupt-remapping  interrupts are remapped: the device reaches its own only
  ✗ not-bound               0000:00:04.0 is bound to e1000; pciback must have it
                            $ portcullis xl pci-assignable-add 0000:00:04.0
No: pciback does not have the device.
`);
  assert.match(explainText(ask({}, '00:04.0'), { ascii: true }), /^ {2}\+ bridge /m);
  assert.match(explainText(ask({ nic: { driver: 'e1000', owner: 0 } }, '00:04.0'), { ascii: true }), /^[\x00-\x7f]*$/);
  assert.match(explainText(ask({ nic: { resettable: false } }, GIVE)), /Yes\. There is a warning\.\n$/);
  assert.match(explainText(ask({ nic: { resettable: 'unknown' } }, GIVE)), /Nothing refuses it, but not all is known: /);
});

test('the document', () => {
  const { checks, ...rest } = explainDocument(ask({ nic: HAS }, `${GIVE} --access config:40.l`));
  assert.equal(rest, {
    schemaVersion: 1, question: { bdf: '0000:00:04.0', domain: 'guest', access: 'config:40.l' }, verdict: 'refused',
    decisive: 'config-field-dropped',
  });
  assert.equal((checks as unknown[]).at(-1), {
    reason: 'config-field-dropped', outcome: 'refused', sentence: 'a write of 40.L at 0x40 is dropped, with success: pciback has no field there',
    remedies: [{ command: 'portcullis sysfs write /sys/bus/pci/drivers/pciback/permissive 0000:00:04.0', executable: true }],
  });
});

test('an address as lspci and xl take it', () => {
  for (const text of ['0000:00:04.0', '00:04.0', '0:4.0', '0:0:4.0']) assert.is(parseExplainArgs([text]).bdf, '0000:00:04.0', text);
});

test('arguments that are none', () => {
  const bad = (line: string, message: RegExp): void => { assert.throws(() => parseExplainArgs(line.split(' ').filter(Boolean)), message); };
  bad('', /the address of a device is missing; usage: explain BDF/);
  bad('zz', /"zz" is no PCI address/);
  bad('0:20.0', /"0000:00:20.0" is no PCI address/);
  bad('00:04.0 00:05.0', /one address/);
  bad('00:04.0 --access', /--access needs a value/);
  bad('00:04.0 --frob', /there is no option --frob/);
  bad('00:04.0 --access what', /there is no access "what"/);
  bad('00:04.0 --access port:10000', /no port up to ffff/);
  bad('00:04.0 --access config:', /config needs a register/);
  bad('00:04.0 --access config:COMMAND=1', /has a value/);
  bad('00:04.0 --access config:FROB', /no register has the name "FROB"/);
});

test.run();
