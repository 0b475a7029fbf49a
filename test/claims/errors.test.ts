// An error that the device reports: dom0's kernel asks pciback, pciback the guest, the guest's driver answers
// (xen-passthrough.md 1.6). An e1000e has Advanced Error Reporting; bits by PCI Express 6.0 §7.8.4.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generateStore } from '../../src/devices/links/store';
import type { ErrorOutcome, ErrorSeverity } from '../../src/machine/error-recovery';
import type { Machine } from '../../src/machine/machine';
import { configByEcam } from '../../src/pci/access';
import { codeOf, done, EDU, EXPRESS, type Given, given, machineOf, NIC, node } from '../helpers/claims';

const test = suite('errors of a device');

const UNCORRECTABLE = 0x104;
const CORRECTABLE = 0x110;

function outcome(machine: Machine, bdf: string, severity: ErrorSeverity): ErrorOutcome | undefined {
  const job = machine.xen.reportError(bdf, severity);
  machine.xen.scheduler.wait(() => job.done, 4000e9);
  if (job.error !== undefined) throw job.error;
  return job.result;
}

/** What dom0 has said since the last time. */
function logOf(machine: Machine): () => string[] {
  let from = machine.xen.kernel.log.length;
  return () => machine.xen.kernel.log.slice(from, from = machine.xen.kernel.log.length);
}

function traffic({ machine }: Given, packets: number): number {
  const link = machine.link(EXPRESS);
  link.plugStore(generateStore('claims', 'imix', 64, 3), true);
  link.offer(packets);
  machine.run(1e9);
  assert.is(link.status().mismatches, 0);
  return link.status().checked;
}

for (const [severity, kind, sign, channel] of [
  ['nonfatal', 'uncorrected (non-fatal)', 'Completion Timeout', 1], ['fatal', 'uncorrected (fatal)', 'Malformed TLP', 2],
] as const) {
  test(`a ${severity} error reaches the guest's driver, step by step, and the device works again`, async () => {
    const one = await given('e1000e', [EXPRESS]);
    const { machine, domain, front, kernel } = one;
    assert.is(traffic(one, 100), 100);
    const told: string[] = [];
    const answer = front.onError as NonNullable<typeof front.onError>;
    front.onError = (device, cmd, state) => {
      const result = answer(device, cmd, state);
      told.push(`${device.name} ${cmd} ${state} ${result}`);
      return result;
    };
    const log = logOf(machine);
    assert.is(outcome(machine, EXPRESS, severity), 'recovered');
    // detected 6, slot reset 9, resume 7; wants a reset 3, recovered 5, none 1
    assert.equal(told, [`0000:00:00.0 6 ${channel} 3`, '0000:00:00.0 9 1 5', '0000:00:00.0 7 1 1']);
    const lines = log();
    assert.equal([lines[0], lines.at(-1)], [`AER: ${EXPRESS}: ${kind} error: ${sign}`, `AER: ${EXPRESS}: recovery successful`]);
    assert.is(configByEcam(machine.engine, 0x28).read(UNCORRECTABLE, 4), 0, 'cleared');
    assert.is(node(machine, `/local/domain/0/backend/pci/${domain.domid}/0/aerState`), undefined, 'nothing to be marked for');
    machine.run(1e9);
    assert.is(kernel.activity.length, 1, kernel.kernel.log.join('\n'));
    assert.is(traffic(one, 500), 500, 'its driver began anew');
    done(machine, 'destroy g');
  });
}

test('a correctable error is counted and told of, and nobody is asked', async () => {
  const one = await given('e1000e', [EXPRESS]);
  const { machine, front } = one;
  front.onError = () => { throw new Error('asked'); };
  const log = logOf(machine);
  assert.is(outcome(machine, EXPRESS, 'correctable'), 'corrected');
  assert.equal(log(), [`AER: ${EXPRESS}: corrected error: Bad TLP`]);
  assert.is(configByEcam(machine.engine, 0x28).read(CORRECTABLE, 4), 0);
});

test('a masked error stays in the function: the status bit, and nothing else', async () => {
  const { machine } = await given('e1000e', [EXPRESS]);
  const config = configByEcam(machine.engine, 0x28);
  config.write(UNCORRECTABLE + 4, 4, 0x4000);
  const log = logOf(machine);
  assert.is(outcome(machine, EXPRESS, 'nonfatal'), 'masked');
  assert.equal([log(), config.read(UNCORRECTABLE, 4)], [[], 0x4000]);
  config.write(UNCORRECTABLE, 4, 0x4000);
  assert.is(config.read(UNCORRECTABLE, 4), 0, 'a one clears it');
});

test('a guest whose driver knows nothing of errors: none, the domain is marked, the recovery fails', async () => {
  const { machine, domain } = await given('idle', [EXPRESS]);
  const log = logOf(machine);
  assert.is(outcome(machine, EXPRESS, 'fatal'), 'failed');
  assert.is(node(machine, `/local/domain/0/backend/pci/${domain.domid}/0/aerState`), 'aerfail');
  assert.is(log().at(-1), `AER: ${EXPRESS}: recovery failed`);
});

test('a guest that does not answer: 300 s, then it goes on without it', async () => {
  const { machine, domain, kernel } = await given('e1000e', [EXPRESS]);
  const port = Number(node(machine, `/local/domain/${domain.domid}/device/pci/0/event-channel`));
  kernel.kernel.offEvent(port);
  const [start, log] = [machine.engine.now, logOf(machine)];
  // pciback answers in its place that it can recover, and that it has recovered
  assert.is(outcome(machine, EXPRESS, 'nonfatal'), 'recovered');
  assert.is(Math.round((machine.engine.now - start) / 1e9), 900, 'detected, mmio enabled, resume');
  assert.is(log().filter((line) => line.endsWith(`domain ${domain.domid} does not answer`)).length, 3);
});

test('a device that pciback has for nobody, one of dom0\'s own, one without the capability', async () => {
  const machine = await machineOf();
  const log = logOf(machine);
  assert.is(outcome(machine, EXPRESS, 'nonfatal'), 'failed');
  assert.ok(log().includes(`AER: ${EXPRESS}: e1000e knows nothing of errors`));
  done(machine, `pci-assignable-add ${EXPRESS}`);
  assert.is(outcome(machine, EXPRESS, 'nonfatal'), 'recovered', 'pciback says so itself');
  assert.ok(log().includes(`pciback ${EXPRESS}: error_detected: no front end has the device`));
  for (const bdf of [NIC, EDU]) assert.is(codeOf(() => machine.xen.reportError(bdf, 'fatal')), 'NO_AER');
  assert.is(codeOf(() => machine.xen.reportError('00:1f.0', 'fatal')), 'NO_DEVICE');
});

test.run();
