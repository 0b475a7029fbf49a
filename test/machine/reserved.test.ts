// Memory that firmware reserves for the DMA of devices, from the description of a machine to xl and explain.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { resolveDescription } from '../../src/machine/description';
import { codeOf } from '../helpers/guest-machine';
import { guestConfig } from '../helpers/toolstack';
import { xlMachine } from '../helpers/xl-machine';

const test = suite('reserved memory');

const devices = [{ model: 'edu', bdf: '0000:00:06.0' }, { model: 'edu', bdf: '0000:00:07.0' }, { model: 'edu', bdf: '0000:00:08.0' }];

test('where it may lie, and whose it may be', () => {
  const resolve = (address: string, size = '4KiB', of: string[] = ['00:06.0']): unknown =>
    resolveDescription({ memory: '16MiB', dom0: { memory: '2MiB' }, devices, reserved: [{ address, size, devices: of }] }).reserved;
  assert.equal(resolve('0x100000', '16KiB', ['00:06.0', '0000:00:07.0']), [{ firstMfn: 0x100, count: 4, routings: [0x30, 0x38] }]);
  assert.equal(resolve('0x1ff000'), [{ firstMfn: 0x1ff, count: 1, routings: [0x30] }]);
  assert.equal(resolve('0x1000000'), [{ firstMfn: 0x1000, count: 1, routings: [0x30] }]);
  for (const call of [
    () => resolve('0x0'), () => resolve('0x100800'), () => resolve('0x1ff000', '8KiB'), () => resolve('0x200000'), () => resolve('1048576'),
    () => resolve('0x100000', '0KiB'), () => resolve('0x100000', '1KiB'), () => resolve('0x100000', '4KiB', []), () => resolve('0x100000', '4KiB', ['00:09.0']),
  ]) assert.is(codeOf(call), 'BAD_RESERVED');
});

test('xl refuses what is shared and says so, takes rdm_policy=relaxed for an answer, and explain knows', async () => {
  const one = await xlMachine({ devices, reserved: [
    { address: '0x100000', size: '16KiB', devices: ['00:06.0', '00:07.0'] }, { address: '0x110000', size: '4KiB', devices: ['00:08.0'] },
  ] });
  for (const bdf of ['00:06.0', '00:08.0']) assert.is(one.run('pci-assignable-add', bdf).code, 0);
  assert.is(one.create(guestConfig(['00:08.0'])).code, 0);
  const { hypervisor, xen } = one.machine;
  xen.scheduler.pass(1e6);
  const facts = xen.explainFacts().devices;
  assert.equal(facts.filter(({ reserved }) => reserved.length > 0).map(({ bdf, reserved }) => [bdf, reserved]), [
    ['0000:00:06.0', [{ start: 0x100000, end: 0x103fff, others: ['0000:00:07.0'] }]],
    ['0000:00:07.0', [{ start: 0x100000, end: 0x103fff, others: ['0000:00:06.0'] }]],
    ['0000:00:08.0', [{ start: 0x110000, end: 0x110fff, others: [] }]],
  ]);
  const refused = one.run('pci-attach', 'guest', '00:06.0');
  assert.is(refused.code, 1);
  assert.match(hypervisor.console.at(-1) as string, /disallowed to assign 0000:00:06\.0 with shared RMRR/);
  assert.equal([...hypervisor.domain(1).assigned], [0x40], 'nothing changed');
  const taken = one.run('pci-attach', 'guest', '00:06.0,rdm_policy=relaxed');
  assert.is(taken.code, 0, taken.stderr);
  assert.equal([0x100, 0x103, 0x104, 0x110].map((mfn) => one.machine.engine.exports.frameRefs(mfn)), [1, 1, 0, 1]);
  assert.is(one.run('destroy', 'guest').code, 0);
  assert.equal([0x100, 0x103, 0x110].map((mfn) => one.machine.engine.exports.frameRefs(mfn)), [0, 0, 0]);
});

test.run();
