// What is refused or breaks in the middle: nothing of it is left, and every domain's end is the same.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { HypercallError } from '../../../src/xen/hypervisor/errors';
import { Domctl } from '../../../src/xen/hypervisor/domctl';
import { Physdev } from '../../../src/xen/hypervisor/physdev';
import { guestConfig, type Rig, type RigOptions, toolstackRig } from '../../helpers/toolstack';

const test = suite('toolstack faults');

const BACK = '/local/domain/0/backend/pci/1/0';

async function withGuest(options: RigOptions = {}, more = ''): Promise<Rig> {
  const rig = await toolstackRig(options);
  for (const bdf of ['00:04.0', '00:06.0', '00:07.0']) rig.run('pci-assignable-add', bdf);
  const made = rig.create(guestConfig(['00:04.0', '00:06.0'], more));
  assert.is(made.code, 0, made.stderr);
  rig.pass(1);
  return rig;
}

/** Makes the nth call of a hypercall from now on fail, as long as `work` runs. */
function failing<T extends object>(prototype: T, name: keyof T, nth: number, work: () => void): boolean {
  const original = prototype[name] as (...args: unknown[]) => unknown;
  let calls = 0;
  Object.assign(prototype, {
    [name](this: unknown, ...args: unknown[]) {
      if (++calls === nth) throw new HypercallError('ENOMEM', `${String(name)} was made to fail`);
      return original.apply(this, args);
    },
  });
  try {
    work();
  } finally {
    Object.assign(prototype, { [name]: original });
  }
  return calls >= nth;
}

const STEPS: ReadonlyArray<[prototype: object, name: string, times: number]> = [
  [Domctl.prototype, 'testAssignDevice', 1], [Domctl.prototype, 'ioportPermission', 1], [Domctl.prototype, 'iomemPermission', 1],
  [Physdev.prototype, 'mapPirq', 0], [Domctl.prototype, 'irqPermission', 1], [Domctl.prototype, 'assignDevice', 1],
];

test('attach: a fault at any step leaves everything as it was, rc 1', async () => {
  const rig = await withGuest();
  // a line of its own, so that each step is taken
  const device = rig.sysfs.devices.get('0000:00:07.0');
  for (const [prototype, name] of STEPS) {
    const before = rig.state();
    const reached = failing(prototype, name as never, 1, () => {
      const result = rig.run('pci-attach', 'guest', '00:07.0,permissive=1');
      if (name === 'mapPirq') return;
      assert.is(result.code, 1, name);
      assert.match(result.stderr, 'unable to add device');
    });
    if (name === 'mapPirq') {
      assert.not.ok(reached, 'the line is shared with 04.0 and mapped already');
      rig.run('pci-detach', 'guest', '00:07.0');
    }
    rig.pass(1);
    assert.is(rig.state(), before, name);
  }
  assert.is(device?.user, undefined);
});

test('create: a fault at any step leaves no domain and nothing of it, rc 3', async () => {
  const rig = await toolstackRig();
  for (const bdf of ['00:04.0', '00:06.0']) rig.run('pci-assignable-add', bdf);
  rig.create(guestConfig(['00:04.0', '00:06.0']));
  rig.run('destroy', 'guest');
  const before = rig.state();
  for (const [prototype, name] of STEPS) {
    for (let nth = 1; nth < 9; nth++) {
      let code = 0;
      const reached = failing(prototype, name as never, nth, () => { code = rig.create(guestConfig(['00:04.0', '00:06.0'])).code; });
      if (!reached) {
        rig.run('destroy', 'guest');
        break;
      }
      assert.is(code, 3, `${name} ${nth}`);
      rig.pass(1);
      assert.is(rig.state(), before, `${name} ${nth}`);
    }
  }
});

test('sysfs refuses: assignable-add takes everything back', async () => {
  const rig = await toolstackRig();
  for (const [path, message] of [
    ['drivers/e1000/unbind', 'Couldn\'t unbind 0000:00:04.0 from driver'], ['drivers/pciback/new_slot', 'Couldn\'t bind device to pciback!'],
    ['drivers/pciback/bind', 'Couldn\'t bind device to pciback!'],
  ] as const) {
    const before = rig.state();
    rig.sysfs.refuse.set(`/sys/bus/pci/${path}`, 'EBUSY');
    const result = rig.run('pci-assignable-add', '00:04.0');
    rig.sysfs.refuse.clear();
    assert.is(result.code, 1);
    assert.match(result.stderr, message);
    assert.is(rig.state(), before, path);
  }
});

test('without a front end: attach is refused after 10 s with nothing changed; detach takes the device, rc 0', async () => {
  const rig = await withGuest({}, 'pcifront = "none"');
  assert.is(rig.client.read(`${BACK}/state`), '3');
  const before = rig.state();
  let since = rig.scheduler.now;
  const attach = rig.run('pci-attach', 'guest', '00:07.0');
  assert.is(attach.code, 1);
  assert.match(attach.stderr, `Backend ${BACK} not ready`);
  assert.is(rig.scheduler.now - since, 10e9);
  assert.is(rig.state(), before);
  since = rig.scheduler.now;
  const detach = rig.run('pci-detach', 'guest', '00:04.0');
  assert.is(detach.code, 0);
  assert.ok(rig.scheduler.now - since < 10.1e9);
  assert.match(detach.stderr, `Backend ${BACK} not ready: domain 1 has no front end`);
  rig.pass(1);
  assert.equal(rig.rights(1), { iomem: 'fe400-fe4ff', ioport: '', irq: '22', devices: ['0000:00:06.0'] });
  assert.is(rig.client.read(`${BACK}/num_devs`), '1');
  assert.is(rig.client.read(`${BACK}/dev-0`), '0000:00:06.0');
  assert.is(rig.client.readIfThere(`${BACK}/dev-1`), undefined);
  assert.is(rig.sysfs.devices.get('0000:00:04.0')?.user, undefined, 'pciback has let go of it');
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:07.0 \n');
  // with -f nobody is waited for
  since = rig.scheduler.now;
  assert.is(rig.run('pci-detach', '-f', 'guest', '00:06.0').code, 0);
  assert.ok(rig.scheduler.now - since < 1e6);
  assert.is(rig.client.readIfThere(BACK), undefined);
  assert.is(rig.sysfs.devices.get('0000:00:06.0')?.user, undefined);
});

test('a front end that does not answer: after 10 s the device is taken all the same', async () => {
  const rig = await withGuest();
  const front = rig.fronts.get(1);
  assert.ok(front);
  if (front !== undefined) front.deaf = true;
  const detach = rig.run('pci-detach', 'guest', '00:04.0');
  assert.is(detach.code, 0);
  assert.match(detach.stderr, 'its state is 7, the front end\'s 4; 0000:00:04.0 is taken from it');
  assert.equal(rig.rights(1).devices, ['0000:00:06.0']);
  assert.is(rig.sysfs.devices.get('0000:00:04.0')?.user, undefined);
  const since = rig.scheduler.now;
  assert.is(rig.run('destroy', 'guest').code, 0);
  assert.ok(rig.scheduler.now - since < 10.1e9, 'once is enough');
  rig.pass(1);
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:06.0 \n0000:00:07.0 \n');
  assert.is(rig.sysfs.devices.get('0000:00:06.0')?.user, undefined);
});

test('detach with errors: everything is tried, rc 1, with and without -f', async () => {
  for (const flags of [[], ['-f']]) {
    const rig = await withGuest();
    failing(Domctl.prototype, 'iomemPermission', 1, () => {
      const result = rig.run('pci-detach', ...flags, 'guest', '00:04.0');
      assert.is(result.code, 1);
      assert.match(result.stderr, 'xc_domain_iomem_permission 0xfe640/0x20: iomemPermission was made to fail');
    });
    assert.equal(rig.rights(1).devices, ['0000:00:06.0']);
    assert.is(rig.rights(1).ioport, '');
    assert.is(rig.client.readIfThere('/libxl/pci/0000-00-04-0/domid'), undefined);
  }
});

test('the guest dies while a command waits for it', async () => {
  const rig = await withGuest({}, 'pcifront = "none"');
  rig.scheduler.spawn('the guest', 1, (function* () {
    yield { timeout: 3e9 };
    rig.machine.hypervisor.shutdownDomain(1, 'crash');
  })());
  const since = rig.scheduler.now;
  const attach = rig.run('pci-attach', 'guest', '00:07.0');
  assert.is(attach.code, 1);
  assert.ok(rig.scheduler.now - since < 3.2e9);
  rig.pass(1);
  assert.equal(rig.machine.hypervisor.domains.map(({ domid }) => domid), [0]);
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n0000:00:06.0 \n0000:00:07.0 \n');
});

test('a command that is ended in the middle leaves one of its two ends, never something between', async () => {
  for (let step = 0; step < 10; step++) {
    const rig = await withGuest();
    const attached = rig.xl.run(['pci-attach', 'guest', '00:07.0']);
    for (let i = 0; i < step; i++) if (attached.next(false).done === true) break;
    attached.return({ code: 1, stdout: '', stderr: '' });
    rig.pass(1);
    const has = rig.rights(1).devices.includes('0000:00:07.0');
    assert.is(rig.client.readIfThere('/libxl/pci/0000-00-07-0/domid'), has ? '1' : undefined, `attach, step ${step}`);
    assert.is(rig.sysfs.devices.get('0000:00:07.0')?.user, has ? 1 : undefined);
    assert.is(rig.rights(1).ioport, has ? 'd000-d0ff, d2c0-d2ff' : 'd2c0-d2ff');
    const detached = rig.xl.run(['pci-detach', 'guest', '00:04.0']);
    for (let i = 0; i < step; i++) {
      if (detached.next(false).done === true) break;
      rig.pass(0);
    }
    detached.return({ code: 1, stdout: '', stderr: '' });
    rig.pass(1);
    const still = rig.rights(1).devices.includes('0000:00:04.0');
    assert.is(rig.client.readIfThere('/libxl/pci/0000-00-04-0/domid'), still ? '1' : undefined, `detach, step ${step}`);
    assert.is(rig.sysfs.devices.get('0000:00:04.0')?.user, still ? 1 : undefined);
  }
});

test('create, ended in the middle: no domain', async () => {
  for (let step = 1; step < 6; step++) {
    const rig = await toolstackRig();
    rig.run('pci-assignable-add', '00:04.0');
    rig.create(guestConfig(['00:04.0']));
    rig.run('destroy', 'guest');
    const before = rig.state();
    const made = rig.xl.run(['create', 'a'], new Map([['a', guestConfig(['00:04.0'])]]));
    let over = false;
    for (let i = 0; i < step && !over; i++) over = made.next(false).done === true;
    if (over) break;
    made.return({ code: 1, stdout: '', stderr: '' });
    rig.pass(1);
    assert.is(rig.state(), before, `step ${step}`);
  }
});

test('a domain that is being made is not destroyed halfway', async () => {
  const rig = await toolstackRig();
  rig.run('pci-assignable-add', '00:04.0');
  const made = rig.scheduler.spawn('xl', 0, rig.xl.run(['create', 'a'], new Map([['a', guestConfig(['00:04.0'])]])));
  rig.scheduler.settle(() => rig.client.readIfThere('/local/domain/1/name') !== undefined);
  const destroyed = rig.scheduler.spawn('xl', 0, rig.xl.run(['destroy', '1']));
  rig.scheduler.wait(() => made.done && destroyed.done);
  assert.is(made.result?.code, 0);
  assert.is(destroyed.result?.code, 0);
  rig.pass(1);
  assert.equal(rig.scheduler.jobs(), []);
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n');
});

test('two commands for one domain: one after the other', async () => {
  const rig = await withGuest();
  const jobs = ['00:04.0', '00:06.0'].map((bdf) => rig.scheduler.spawn('xl', 0, rig.xl.run(['pci-detach', 'guest', bdf])));
  jobs.push(rig.scheduler.spawn('xl', 0, rig.xl.run(['pci-attach', 'guest', '00:07.0'])));
  rig.scheduler.wait(() => jobs.every(({ done }) => done));
  assert.equal(jobs.map(({ result }) => result?.code), [0, 0, 0]);
  rig.pass(1);
  assert.equal(rig.rights(1).devices, ['0000:00:07.0']);
  assert.is(rig.client.read(`${BACK}/num_devs`), '1');
  assert.is(rig.client.read(`${BACK}/state-0`), '3');
});

test('permissive ends with the guest that it was given for', async () => {
  const rig = await withGuest();
  rig.run('pci-attach', 'guest', '00:07.0,permissive=1');
  rig.pass(1);
  assert.is(rig.sysfs.devices.get('0000:00:07.0')?.permissive, true);
  assert.match(rig.client.read(`${BACK}/opts-2`), 'permissive=1');
  rig.run('pci-detach', 'guest', '00:07.0');
  assert.is(rig.sysfs.devices.get('0000:00:07.0')?.permissive, false);
});

test('seize: the device is taken from its driver first; all functions of a slot; @vslot is noted', async () => {
  const rig = await toolstackRig();
  assert.is(rig.create(guestConfig(['00:04.0@1d,seize=1'])).code, 0);
  assert.is(rig.client.read(`${BACK}/vdevfn-0`), 'e8');
  assert.is(rig.run('pci-list', 'guest').stdout, 'Vdev Device\n1d.0 0000:00:04.0\n');
  rig.pass(1);
  rig.run('pci-assignable-add', '00:0a.0');
  assert.match(rig.run('pci-attach', 'guest', '00:0a.*').stderr, 'Must specify a v-slot for multi-function devices');
  assert.match(rig.run('pci-attach', 'guest', '00:0a.*@2').stderr, '0000:00:0a.1 is not assigned to pciback driver');
  rig.run('pci-assignable-add', '00:0a.1');
  assert.is(rig.run('pci-attach', 'guest', '00:0a.*@2').code, 0);
  rig.pass(1);
  assert.is(rig.client.read(`${BACK}/dev-1`), '0000:00:0a.1');
  assert.is(rig.client.read(`${BACK}/vdevfn-1`), '11');
  assert.is(rig.client.read(`${BACK}/dev-2`), '0000:00:0a.0');
  assert.is(rig.run('pci-detach', 'guest', '00:0a.*').code, 0);
  assert.equal(rig.rights(1).devices, ['0000:00:04.0']);
});

test.run();
