// What `explain` prints is done, word for word, and what it then says is another thing or nothing.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { readRequest } from '../../src/machine/control/requests';
import { controlParts } from '../../src/machine/controlled';
import type { MachineDescription } from '../../src/machine/description';
import { Machine } from '../../src/machine/machine';
import { parseExplainArgs } from '../../src/xen/explain/arguments';
import { explain } from '../../src/xen/explain/explain';
import type { ReasonCode } from '../../src/xen/explain/reasons';
import type { Check, Explanation, Remedy } from '../../src/xen/explain/types';
import { Domctl } from '../../src/xen/hypervisor/domctl';
import { plainBridge } from '../helpers/made-up';

const NIC = '0000:00:04.0';
const DEVICES: NonNullable<MachineDescription['devices']> = [
  { model: 'e1000', bdf: NIC }, { model: 'e1000e', bdf: '0000:00:05.0' }, { model: 'edu', bdf: '0000:00:06.0' },
  { model: 'root-port', bdf: '0000:00:0b.0' }, { model: 'e1000', bdf: '0000:01:00.0' },
];

class World {
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  static async boot(extra: Partial<MachineDescription> = {}): Promise<World> {
    const description = { memory: '128MiB', dom0: { memory: '16MiB' }, iommu: 'vtd' as const, devices: DEVICES, ...extra };
    return new World(await Machine.create(description, { models: [plainBridge] }));
  }

  /** A command line as it is printed, without files. */
  run(line: string, files: Record<string, string> = {}): unknown {
    const [program, command = '', ...args] = line.split(' ');
    assert.is(program, 'portcullis');
    const slot = (): string => {
      assert.is(args.shift(), '-s');
      return args.shift() as string;
    };
    const requests: Record<string, () => [method: string, params: unknown]> = {
      xl: () => ['xl', { args, files }],
      sysfs: () => {
        assert.is(args.shift(), 'write');
        return ['sysfs.write', { path: args[0], text: args[1] }];
      },
      setpci: () => ['setpci', { slot: slot(), operations: args }],
      explain: () => ['explain', { args }],
    };
    const request = requests[command];
    if (request === undefined) throw new Error(`nobody runs ${line}`);
    const [method, params] = request();
    const { scheduler } = this.machine.xen;
    const parts = controlParts({ system: this.machine.xen, nameOf: () => undefined, digest: () => undefined });
    const result = scheduler.run(line, 0, readRequest(method, params, parts)());
    if (method === 'xl') assert.is((result as { code: number }).code, 0, `${line}: ${JSON.stringify(result)}`);
    if (method === 'setpci') assert.ok((result as Array<{ code: number; problem?: string }>).every((one) => one.code === 0 && one.problem === undefined), line);
    this.machine.run(20e6);
    return result;
  }

  create(name: string, more: string): void {
    this.run(`portcullis xl create ${name}.cfg`, {
      [`${name}.cfg`]: `name = "${name}"\ntype = "pv"\nmemory = 8\nkernel = "builtin:e1000"\n${more}\n`,
    });
  }

  ask(question: string): Explanation {
    return explain(this.machine.xen.explainFacts(), parseExplainArgs(question.split(' ')));
  }

  check(question: string, reason: ReasonCode): Check {
    const found = [...this.ask(question).checks].reverse().find((one) => one.reason === reason);
    assert.ok(found, `${reason}: ${JSON.stringify(this.ask(question).checks.at(-1))}`);
    return found as Check;
  }

  /** Runs every command that the check prints. Gives what was asked before and after. */
  follow(question: string, reason: ReasonCode, outcome: 'refused' | 'warning' = 'refused'): Explanation {
    const check = this.check(question, reason);
    assert.is(check.outcome, outcome, check.sentence);
    const commands = check.remedies.filter((one): one is Extract<Remedy, { executable: true }> => one.executable);
    assert.ok(commands.length > 0, reason);
    for (const { command } of commands) this.run(command);
    const after = this.ask(question);
    const same = [...after.checks].reverse().find((one) => one.reason === reason);
    assert.not.equal(same?.outcome, outcome, `${reason} is there still: ${same?.sentence}`);
    return after;
  }
}

function patchOf(check: Check, which = 0): Partial<MachineDescription> {
  const remedy = check.remedies[which];
  assert.ok(remedy !== undefined && !remedy.executable && remedy.patch !== undefined);
  return (remedy as { patch: Partial<MachineDescription> }).patch;
}

const remedies = suite('remedies');

remedies('not bound: then it can be given to anybody', async () => {
  const world = await World.boot();
  assert.is(world.follow('00:04.0', 'not-bound').verdict, 'allowed');
});

remedies('a bridge: the question about what is behind has another answer', async () => {
  const world = await World.boot();
  const { remedies: [remedy] } = world.check('00:0b.0', 'bridge');
  assert.is((remedy as { command: string }).command, 'portcullis explain 0000:01:00.0');
  const { document } = world.run('portcullis explain 0000:01:00.0') as { document: { decisive: string } };
  assert.is(document.decisive, 'not-bound');
});

remedies('no IOMMU: a machine with one, or one that allows it', async () => {
  const world = await World.boot({ iommu: 'none' });
  const check = world.check('00:04.0', 'no-iommu');
  assert.is(check.outcome, 'refused');
  assert.is((await World.boot({ iommu: 'none', ...patchOf(check) })).ask('00:04.0').decisive, 'not-bound');
  const unsafe = await World.boot({ iommu: 'none', ...patchOf(check, 1) });
  assert.is(unsafe.check('00:04.0', 'no-iommu').outcome, 'warning');
  assert.is(unsafe.follow('00:04.0', 'not-bound').verdict, 'allowed');
});

remedies('no interrupt remapping', async () => {
  const off = { xen: 'iommu=no-intremap' };
  const check = (await World.boot(off)).check('00:04.0', 'no-interrupt-remapping');
  assert.is(check.outcome, 'warning');
  assert.is((await World.boot({ ...off, ...patchOf(check) })).check('00:04.0', 'no-interrupt-remapping').outcome, 'ok');
});

remedies('another owner: it is detached there', async () => {
  const world = await World.boot();
  world.run(`portcullis xl pci-assignable-add ${NIC}`);
  world.create('one', 'pci = ["00:04.0"]');
  world.create('two', 'passthrough = "enabled"');
  assert.is(world.follow('00:04.0 --domain two', 'other-owner').verdict, 'allowed');
  world.run('portcullis xl pci-attach two 0000:00:04.0');
  assert.is(world.ask('00:04.0 --domain two --access dma').checks.find(({ reason }) => reason === 'not-assigned')?.outcome, 'ok');
});

remedies('a domain without IOMMU, without a front end, with one of another version: destroyed, and created as it is said', async () => {
  const world = await World.boot();
  for (const bdf of [NIC, '0000:00:05.0']) world.run(`portcullis xl pci-assignable-add ${bdf}`);
  const cases: Array<[ReasonCode, string]> = [
    ['domain-without-iommu', ''], ['no-pcifront', 'passthrough = "enabled"\npcifront = "none"'],
    ['magic-mismatch', 'pci = ["00:05.0"]\npcifront = "wrong-magic"']];
  for (const [reason, config] of cases) {
    world.create('g', config);
    const patch = world.check('00:04.0 --domain g', reason).remedies.find((one) => !one.executable) as { patch: Record<string, string> };
    assert.is(world.follow('00:04.0 --domain g', reason).decisive, 'no-such-domain');
    const kept = config.split('\n').filter((line) => !Object.keys(patch.patch).some((key) => line.startsWith(`${key} `)));
    world.create('g', [...kept, ...Object.entries(patch.patch).map(([key, value]) => `${key} = "${value}"`)].join('\n'));
    const after = world.ask('00:04.0 --domain g');
    assert.is(after.verdict, 'allowed', `${reason}: ${after.checks.at(-1)?.sentence}`);
    world.run('portcullis xl destroy g');
  }
});

remedies('an hvm domain: destroyed, and created as pv', async () => {
  const world = await World.boot();
  world.run(`portcullis xl pci-assignable-add ${NIC}`);
  const config = (type: string): Record<string, string> =>
    ({ 'g.cfg': `name = "g"\ntype = "${type}"\nmemory = 8\nkernel = "builtin:e1000"\n${type === 'pv' ? 'passthrough = "enabled"\n' : ''}` });
  world.run('portcullis xl create g.cfg', config('hvm'));
  assert.is(world.follow('00:04.0 --domain g', 'hvm-passthrough').decisive, 'no-such-domain');
  world.run('portcullis xl create g.cfg', config('pv'));
  assert.is(world.ask('00:04.0 --domain g').verdict, 'allowed');
});

remedies('MSI-X masked: Xen does not assign it, and then does', async () => {
  const world = await World.boot();
  world.run('portcullis xl pci-assignable-add 0000:00:05.0');
  world.create('g', 'passthrough = "enabled"');
  world.run('portcullis setpci -s 0000:00:05.0 CAP_MSIX+2.W=4000:4000');
  assert.is(world.follow('00:05.0 --domain g', 'msix-masked').verdict, 'allowed');
});

remedies('a line, a requester id and a page that are shared: the other device is taken out of use', async () => {
  const small = (bdf: string, at: string): string => {
    const bytes = [...'868005bb0200000000000002'.match(/../g) ?? [], ...new Array(4).fill('00'), at.slice(6), at.slice(4, 6), at.slice(2, 4), at.slice(0, 2)];
    const rows = Array.from({ length: 16 }, (_, i) => `${(16 * i).toString(16).padStart(2, '0')}: ${
      Array.from({ length: 16 }, (_, j) => bytes[16 * i + j] ?? '00').join(' ')}`);
    return [`${bdf} Device`, `\tRegion 0: Memory at ${at} (32-bit, non-prefetchable) [size=256]`, '\tKernel driver in use: some', ...rows, ''].join('\n');
  };
  const world = await World.boot({ devices: [
    ...DEVICES, { model: 'e1000', bdf: '0000:00:0c.0' },
    { model: 'plain-bridge', bdf: '0000:00:0d.0' }, { model: 'e1000', bdf: '0000:02:01.0' }, { model: 'e1000', bdf: '0000:02:02.0' },
    { model: 'dump', file: 'small.txt', text: `${small('00:10.0', 'fe6ca000')}\n${small('00:11.0', 'fe6ca100')}` }] });
  for (const bdf of ['00:04.0', '02:01.0', '00:10.0']) world.run(`portcullis xl pci-assignable-add ${bdf}`);
  world.follow('00:04.0', 'shared-intx', 'warning');
  world.follow('02:01.0', 'alias-or-no-acs', 'warning');
  world.follow('00:10.0', 'page-shared', 'warning');
});

remedies('no virtual slot left: another device is detached', async () => {
  const behind = Array.from({ length: 8 }, (_, i) => `0000:01:${(i + 1).toString(16).padStart(2, '0')}.0`);
  const before = Array.from({ length: 25 }, (_, i) => `0000:00:${(i + 1).toString(16).padStart(2, '0')}.0`);
  const all = [...before, ...behind];
  const world = await World.boot({ heapBytes: 32 << 20, devices: [...before.map((bdf) => ({ model: 'edu', bdf })),
    { model: 'plain-bridge', bdf: '0000:00:1e.0' }, ...behind.map((bdf) => ({ model: 'edu', bdf }))] });
  for (const bdf of all) world.run(`portcullis xl pci-assignable-add ${bdf}`);
  world.create('g', `pci = [${all.slice(0, 32).map((bdf) => `"${bdf}"`).join(', ')}]`);
  assert.is(world.follow(`${all[32]} --domain g`, 'virtual-slots-full').verdict, 'allowed');
});

async function given(bdf = '0000:00:05.0', kernel = 'e1000e'): Promise<World> {
  const world = await World.boot();
  for (const one of [NIC, bdf]) world.run(`portcullis xl pci-assignable-add ${one}`);
  world.run('portcullis xl create g.cfg', { 'g.cfg': `name = "g"\ntype = "pv"\nmemory = 8\nkernel = "builtin:${kernel}"\npci = ["${bdf}"]\n` });
  return world;
}

remedies('an access to a device that the domain does not have', async () => {
  const world = await given();
  assert.is(world.follow('00:04.0 --domain g --access mmio', 'not-assigned').decisive, undefined);
  world.run('portcullis xl pci-detach g 0000:00:04.0');
  assert.is(world.follow('00:04.0 --domain 0 --access mmio', 'not-assigned').checks.at(-1)?.outcome, 'ok');
});

remedies('decode, bus mastering, power state: by the command and power registers', async () => {
  const world = await given();
  const nic = '00:05.0 --domain g';
  assert.is(world.ask(`${nic} --access mmio`).verdict, 'allowed');
  world.run('portcullis setpci -s 0000:00:05.0 COMMAND=0:3');
  world.follow(`${nic} --access mmio`, 'decode-off');
  world.follow(`${nic} --access port`, 'decode-off');
  world.run('portcullis setpci -s 0000:00:05.0 COMMAND=0:4');
  assert.is(world.follow(`${nic} --access dma`, 'bus-master-off').verdict, 'allowed');
  world.run('portcullis setpci -s 0000:00:05.0 CAP_PM+4.W=3:3');
  // which resets it
  assert.is(world.follow(`${nic} --access dma`, 'power-state').decisive, 'bus-master-off');
});

remedies('INTx that is off', async () => {
  const world = await given('0000:01:00.0', 'e1000');
  const nic = '01:00.0 --domain g --access irq';
  assert.is(world.ask(nic).verdict, 'allowed', JSON.stringify(world.ask(nic).checks));
  world.run('portcullis setpci -s 0000:01:00.0 COMMAND=400:400');
  assert.is(world.follow(nic, 'no-interrupt').verdict, 'allowed');
});

remedies('rights that are gone come back with the device', async () => {
  const world = await given();
  const question = '00:05.0 --domain g --access mmio';
  const domid = world.machine.hypervisor.domains.find(({ name }) => name === 'g')?.domid as number;
  new Domctl(world.machine.hypervisor, 0).iomemPermission(domid, world.machine.barAddress('00:05.0', 0) / 4096, 1, false);
  assert.is(world.follow(question, 'outside-rights').verdict, 'allowed');
});

remedies('registers that pciback drops or denies', async () => {
  const world = await given();
  assert.is(world.follow('00:05.0 --domain g --access config:40.l', 'config-field-dropped').verdict, 'allowed');
  const other = await given();
  assert.is(other.follow('00:05.0 --domain g --access config:CAP_MSI+2.w', 'config-field-denied').verdict, 'allowed');
});

remedies.run();
