// What xl says and ends with: xen-observed.md section 5, a row each; and its usage.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { xlFiles } from '../../../src/xen/toolstack/xl';
import { guestConfig, type Rig, toolstackRig } from '../../helpers/toolstack';

const rows = suite('xl messages');

/** A guest with 04.0, connected; 06.0 and 07.0 assignable. */
async function withGuest(): Promise<Rig> {
  const rig = await toolstackRig();
  for (const bdf of ['00:04.0', '00:06.0', '00:07.0']) rig.run('pci-assignable-add', bdf);
  assert.is(rig.create(guestConfig(['00:04.0'])).code, 0);
  rig.pass(1);
  return rig;
}

rows('assignable-list without pciback: a message, 0', async () => {
  for (const iommu of [true, false]) {
    const rig = await toolstackRig({ iommu });
    rig.sysfs.pciback = false;
    assert.equal(rig.run('pci-assignable-list'), { code: 0, stdout: '', stderr: 'libxl: error: Looks like pciback driver not loaded\n' });
    const add = rig.run('pci-assignable-add', '00:04.0');
    assert.is(add.code, 1);
    assert.match(add.stderr, 'Looks like pciback driver not loaded');
  }
});

rows('assignable-add: silent when it goes well; twice is a warning and 0', async () => {
  const rig = await toolstackRig();
  assert.equal(rig.run('pci-assignable-add', '00:04.0'), { code: 0, stdout: '', stderr: '' });
  assert.equal(rig.run('pci-assignable-add', '0000:00:04.0'),
    { code: 0, stdout: '', stderr: 'libxl: warning: 0000:00:04.0 already assigned to pciback\n' });
  assert.equal(rig.run('pci-assignable-add', '00:06.0'),
    { code: 0, stdout: '', stderr: 'libxl: warning: 0000:00:06.0 not bound to a driver, will not be rebound.\n' });
});

rows('assignable-add without an IOMMU: refused, and the device back at its driver', async () => {
  const rig = await toolstackRig({ iommu: false });
  const before = rig.state();
  for (const bdf of ['0000:00:04.0', '0000:00:06.0']) {
    const result = rig.run('pci-assignable-add', bdf);
    assert.is(result.code, 1);
    assert.match(result.stderr, `failed to quarantine ${bdf}`);
    assert.is(rig.state(), before);
  }
  assert.is(rig.sysfs.devices.get('0000:00:04.0')?.driver, 'e1000');
  assert.equal(rig.sysfs.slots, []);
  assert.is(rig.client.readIfThere('/libxl/pci/0000-00-04-0/driver_path'), undefined);
});

rows('assignable-add of what is not there, of what is no address, of half an address', async () => {
  const rig = await toolstackRig();
  const missing = rig.run('pci-assignable-add', '00:1e.0');
  assert.is(missing.code, 1);
  assert.match(missing.stderr, 'Couldn\'t lstat /sys/bus/pci/devices/0000:00:1e.0: No such file or directory');
  for (const bad of ['zz', '0000:00:04', '00:20.0', '00:04.8', '100:04.0', '1:2:3:4.0', '00:04.*']) {
    const result = rig.run('pci-assignable-add', bad);
    assert.is(result.code, 2, bad);
    assert.match(result.stderr, bad === '00:04.*' ? 'one function at a time' : `pci-assignable-add: malformed BDF "${bad}"`);
  }
});

rows('assignable-add of two: the first is taken, which is told', async () => {
  const rig = await toolstackRig();
  const result = rig.run('pci-assignable-add', '00:04.0', '00:06.0');
  assert.is(result.code, 0);
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n');
  assert.match(result.stderr, 'only 00:04.0 is taken');
});

rows('no argument: usage, 2', async () => {
  const rig = await toolstackRig();
  for (const command of ['pci-assignable-add', 'pci-assignable-remove', 'pci-attach', 'pci-detach', 'pci-list', 'create', 'destroy', 'shutdown']) {
    const result = rig.run(command);
    assert.is(result.code, 2, command);
    assert.match(result.stderr, `Usage: xl ${command} `);
  }
  assert.is(rig.run('pci-assignable-add', '-z', '00:04.0').code, 2);
  assert.is(rig.run('pci-assignable-add', '-n').code, 2);
  assert.is(rig.run('frobnicate').code, 2);
  assert.is(rig.run().code, 2);
  assert.is(rig.run('help').code, 0);
  assert.match(rig.run('help', 'pci-attach').stdout, 'Usage: xl pci-attach <Domain> <PCI_SPEC_STRING>');
});

rows('assignable-remove: of what is not assignable; with -r back to its driver; without it stays unbound', async () => {
  const rig = await toolstackRig();
  const refused = rig.run('pci-assignable-remove', '00:04.0');
  assert.is(refused.code, 1);
  assert.match(refused.stderr, 'failed to de-quarantine 0000:00:04.0');
  assert.is(rig.sysfs.devices.get('0000:00:04.0')?.driver, 'e1000');
  rig.run('pci-assignable-add', '00:04.0');
  assert.equal(rig.run('pci-assignable-remove', '00:04.0'), { code: 0, stdout: '', stderr: '' });
  assert.is(rig.sysfs.devices.get('0000:00:04.0')?.driver, undefined);
  assert.is(rig.client.read('/libxl/pci/0000-00-04-0/driver_path'), '/sys/bus/pci/drivers/e1000');
  assert.match(rig.run('pci-assignable-add', '00:04.0').stderr, 'will be rebound to /sys/bus/pci/drivers/e1000');
  const back = rig.run('pci-assignable-remove', '-r', '00:04.0');
  assert.is(back.code, 0);
  assert.match(back.stderr, 'Rebinding to driver at /sys/bus/pci/drivers/e1000');
  assert.is(rig.sysfs.devices.get('0000:00:04.0')?.driver, 'e1000');
  assert.is(rig.client.readIfThere('/libxl/pci/0000-00-04-0/driver_path'), undefined);
  assert.is(rig.machine.hypervisor.ownerOf(0x20), 0);
  const off = await toolstackRig({ iommu: false });
  assert.match(off.run('pci-assignable-remove', '00:04.0').stderr, 'failed to de-quarantine');
});

rows('names: given, listed, used; a bad one is refused', async () => {
  const rig = await toolstackRig();
  assert.is(rig.run('pci-assignable-add', '-n', 'nic', '00:04.0').code, 0);
  assert.is(rig.run('pci-assignable-list', '-n').stdout, '0000:00:04.0 nic\n');
  assert.is(rig.run('pci-assignable-list').stdout, '0000:00:04.0 \n');
  assert.match(rig.run('pci-assignable-add', '-n', 'a b', '00:06.0').stderr, 'Names may only include printable characters');
  assert.match(rig.run('pci-assignable-add', '-n', 'a'.repeat(65), '00:06.0').stderr, 'Name too long');
  assert.is(rig.create(guestConfig(['name=nic'])).code, 0);
  assert.is(rig.client.read('/local/domain/0/backend/pci/1/0/name-0'), 'nic');
  rig.run('destroy', 'guest');
  assert.is(rig.run('pci-assignable-remove', 'nic').code, 0);
});

rows('create with a device that is not assignable or not there: 3, and the number of the domain is used up', async () => {
  const rig = await toolstackRig();
  rig.create(guestConfig([]));
  rig.run('destroy', 'guest');
  const before = rig.state();
  for (const [bdf, short] of [['00:04.0', '0:0:4.0'], ['00:1e.0', '0:0:1e.0']]) {
    const result = rig.create(guestConfig([bdf as string]));
    assert.is(result.code, 3);
    assert.match(result.stderr, `PCI device ${short} is not assignable`);
    assert.match(result.stderr, 'unable to add pci devices');
  }
  assert.is(rig.state(), before);
  assert.is(rig.create(guestConfig([])).code, 0);
  assert.is(rig.run('domid', 'guest').stdout, '4\n');
});

rows('create without an IOMMU: 6, before there is a domain, whatever the type', async () => {
  const rig = await toolstackRig({ iommu: false });
  const before = rig.state();
  for (const type of ['pv', 'hvm', 'pvh']) {
    const result = rig.create(guestConfig(['00:04.0'], `type = "${type}"`), '-q');
    assert.equal(result, { code: 6, stdout: '', stderr: 'libxl: error: passthrough not supported on this platform\n' });
  }
  assert.is(rig.state(), before);
  assert.is(rig.create(guestConfig([])).code, 0);
  assert.is(rig.run('domid', 'guest').stdout, '1\n', 'no number was used up');
  const attach = rig.run('pci-attach', 'guest', '00:04.0');
  assert.is(attach.code, 1);
});

rows('create: passthrough disabled, pvh, hvm, share_pt', async () => {
  for (const iommu of [true, false]) {
    const rig = await toolstackRig({ iommu });
    const result = rig.create(guestConfig(['00:04.0'], 'passthrough = "disabled"'));
    assert.is(result.code, 6);
    assert.match(result.stderr, 'passthrough disabled but devices are specified');
  }
  const rig = await toolstackRig();
  const pvh = rig.create(guestConfig(['00:04.0'], 'type = "pvh"'));
  assert.is(pvh.code, 6);
  assert.match(pvh.stderr, 'passthrough not yet supported for x86 PVH guests');
  const hvm = rig.create(guestConfig(['00:04.0'], 'type = "hvm"'));
  assert.is(hvm.code, 4);
  assert.match(hvm.stderr, 'device model and firmware, which come with real guests');
  assert.match(rig.create(guestConfig([], 'passthrough = "share_pt"')).stderr, 'passthrough="share_pt" not valid for PV domain');
});

rows('attach without an IOMMU, or to a domain that was created without: nothing changes', async () => {
  const rig = await toolstackRig();
  rig.run('pci-assignable-add', '00:04.0');
  rig.create(guestConfig([]));
  const before = rig.state();
  const result = rig.run('pci-attach', 'guest', '00:04.0');
  assert.is(result.code, 1);
  assert.match(result.stderr, 'xc_assign_device failed: Operation not supported');
  assert.is(rig.state(), before);
});

rows('attach of a device that is not assignable, or in use: refused, its owner keeps everything', async () => {
  const rig = await withGuest();
  assert.is(rig.create(guestConfig(['00:06.0']).replace('guest', 'other')).code, 0);
  rig.pass(1);
  const before = rig.state();
  for (const [bdf, short] of [['00:08.0', '0:0:8.0'], ['00:06.0', '0:0:6.0'], ['00:04.0', '0:0:4.0'], ['00:1e.0', '0:0:1e.0']]) {
    const result = rig.run('pci-attach', 'guest', bdf as string);
    assert.equal(result, {
      code: 1, stdout: '', stderr: `libxl: error: PCI device ${short} is not assignable\nlibxl: error: unable to add device\n`,
    });
    assert.is(rig.state(), before);
  }
});

rows('attach to no domain, and of no device', async () => {
  const rig = await withGuest();
  for (const name of ['nosuch', '77']) {
    assert.equal(rig.run('pci-attach', name, '00:06.0'),
      { code: 1, stdout: '', stderr: `${name} is an invalid domain identifier (rc=-6)\n` });
  }
  const bad = rig.run('pci-attach', 'guest', 'zz');
  assert.is(bad.code, 2);
  assert.match(bad.stderr, 'malformed PCI_SPEC_STRING "zz"');
  assert.match(rig.run('pci-attach', 'guest', '00:06.0,frob=1').stderr, 'Unknown PCI_SPEC_STRING option: frob');
});

rows('detach of what is not attached: 1, with -f as well', async () => {
  const rig = await withGuest();
  const before = rig.state();
  for (const args of [['guest', '00:06.0'], ['-f', 'guest', '00:06.0']]) {
    assert.equal(rig.run('pci-detach', ...args),
      { code: 1, stdout: '', stderr: 'libxl: error: PCI device not attached to this domain\n' });
  }
  assert.is(rig.state(), before);
});

rows('a device without a reset in sysfs: a line, and it goes on', async () => {
  const rig = await withGuest();
  const result = rig.run('pci-attach', 'guest', '00:07.0');
  assert.is(result.code, 0);
  assert.match(result.stderr, 'The kernel doesn\'t support reset from sysfs for PCI device 0000:00:07.0');
});

rows('unsafe passthrough: allowed where the machine says so, with a warning each time', async () => {
  const rig = await toolstackRig({ iommu: false, allowUnsafePassthrough: true });
  const add = rig.run('pci-assignable-add', '00:04.0');
  assert.is(add.code, 0, add.stderr);
  assert.match(add.stderr, 'no IOMMU: 0000:00:04.0 can reach all memory of the machine');
  const made = rig.create(guestConfig(['00:04.0']));
  assert.is(made.code, 0, made.stderr);
  assert.match(made.stderr, 'passthrough without an IOMMU');
  rig.pass(1);
  assert.is(rig.client.read('/local/domain/0/backend/pci/1/0/state'), '4');
  assert.is(rig.create(guestConfig(['00:04.0'], 'type = "hvm"')).code, 6, 'not for hvm');
  assert.is(rig.run('pci-detach', 'guest', '00:04.0').code, 0);
  assert.is(rig.run('pci-assignable-remove', '-r', '00:04.0').code, 0);
  assert.is(rig.sysfs.devices.get('0000:00:04.0')?.driver, 'e1000');
});

rows('save and migrate: refused, with the reason', async () => {
  const rig = await withGuest();
  for (const command of ['save', 'migrate']) {
    const result = rig.run(command, 'guest', 'there');
    assert.is(result.code, 1);
    assert.match(result.stderr, 'has PCI devices, whose state nobody can read');
  }
  rig.run('pci-detach', 'guest', '00:04.0');
  assert.match(rig.run('save', 'guest', 'there').stderr, 'xl save is not modelled');
});

rows('destroy of the first domain is refused; domains that xl has not made are not its own', async () => {
  const rig = await toolstackRig();
  assert.equal(rig.run('destroy', '0'), { code: 1, stdout: '', stderr: 'Cannot destroy privileged domain 0.\n' });
  assert.equal(rig.run('destroy', 'Domain-0'), { code: 1, stdout: '', stderr: 'Cannot destroy privileged domain 0.\n' });
  rig.machine.createDomain({ name: 'stranger', memory: '1MiB' });
  assert.match(rig.run('destroy', 'stranger').stderr, 'was not made by xl');
});

rows('create: the file, its errors, settings behind it', async () => {
  const rig = await toolstackRig();
  const run = (text: string, ...more: string[]) => rig.scheduler.run('xl', 0, rig.xl.run(['create', 'a.cfg', ...more], new Map([['a.cfg', text]])));
  assert.equal(rig.run('create', 'none.cfg'),
    { code: 1, stdout: 'Parsing config from none.cfg\n', stderr: 'Failed to read config file: none.cfg: No such file or directory\n' });
  assert.match(run('name = ').stderr, /a\.cfg:1: config parsing error near the end: .*\nFailed to parse config: Invalid argument/);
  assert.match(run('name = "x"').stderr, 'has no kernel');
  assert.match(run('name = "x"\nkernel = "builtin:none"').stderr, 'there is no kernel "builtin:none"');
  assert.match(run('name = "x"\nkernel = "builtin:e1000"\npci = ["zz"]').stderr, 'unable to parse PCI_SPEC_STRING \'zz\' for passthrough');
  assert.match(run('name = "x"\nkernel = "builtin:e1000"\nmemory = 4000').stderr, /domain creation fail: .*wants 1024000 pages/);
  const made = run('name = "x"\nkernel = "builtin:e1000"\ncolour = "red"\nvif = [ "" ]', 'memory=4', 'name="y"');
  assert.is(made.code, 0);
  assert.match(made.stderr, 'a.cfg: warning: line 3: there is no setting "colour"; it changes nothing');
  assert.match(made.stderr, 'a.cfg: warning: line 4: vif is not modelled and changes nothing');
  assert.is(rig.run('domid', 'y').stdout, '1\n');
  assert.match(run('name = "y"\nkernel = "builtin:e1000"\nmemory = 4').stderr, 'Domain "y" already exists');
  assert.is(rig.run('create', '/dev/null', 'name="z"', 'kernel="builtin:e1000"', 'memory=4').code, 0);
  assert.is(rig.run('create', 'name="w"; kernel="builtin:e1000"; memory=4').code, 0);
});

rows('what a config asks for and cannot have is named; complaints are bounded, whatever was typed', async () => {
  const rig = await toolstackRig();
  const create = (...settings: string[]): { code: number; stdout: string; stderr: string } =>
    rig.run('create', '/dev/null', 'name="x"', 'kernel="builtin:e1000"', 'memory=4', ...settings);
  for (const [setting, what] of [
    ['ioports=["3f8-3ff","cf8-cff"]', 'domain "x" cannot have the ports cf8 to cff: Operation not permitted'],
    ['iomem=["fee00,2"]', 'domain "x" cannot have the I/O memory of frames fee00 to fee01: Operation not permitted'],
    ['irqs=[99]', 'domain "x" cannot have the interrupt 99: Invalid argument'],
    ['extra="a\\0b"', 'extra has a NUL in it'],
  ] as const) {
    const { code, stderr } = create(setting);
    assert.ok(code !== 0);
    assert.match(stderr, what);
  }
  const long = create(`pci=["${'x'.repeat(1e6)}"]`);
  assert.is(long.code, 1);
  assert.ok(long.stderr.length < 2000);
  const many = create(Array.from({ length: 5000 }, (_, i) => `colour${i} = 1`).join('\n'));
  assert.is(many.code, 0);
  assert.is(many.stderr.split('\n').length, 201);
  assert.match(many.stderr, /more is not shown\n$/);
  const domain0 = rig.run('shutdown', '0');
  assert.is(domain0.code, 1);
  assert.match(domain0.stderr, 'Domain 0 is the one that xl runs in');
});

rows('which files a command line names', () => {
  assert.equal(xlFiles(['create', 'a.cfg', 'memory=4']), ['a.cfg']);
  assert.equal(xlFiles(['-v', 'create', '-p', '-f', 'b.cfg']), ['b.cfg']);
  assert.equal(xlFiles(['create', '/dev/null', 'name="a"']), []);
  assert.equal(xlFiles(['create', 'name="a"']), []);
  assert.equal(xlFiles(['create', '-Z', 'a']), []);
  assert.equal(xlFiles(['list', 'a']), []);
});

rows('list, info, dmesg, debug-keys, console, domname', async () => {
  const rig = await withGuest();
  assert.match(rig.run('list').stdout, /^Name +ID +Mem VCPUs\tState\tTime\(s\)\nDomain-0 +0 +\d+ +\d+ +r-----.*\nguest +1 +4 +1 +r-----/);
  const [long] = JSON.parse(rig.run('list', '-l', 'guest').stdout);
  assert.is(long.config.b_info['type.pv'].e820_host, 'True');
  assert.match(rig.run('info').stdout, /xen_version +: 4\.17\.5\n/);
  assert.match(rig.run('info').stdout, 'pv_directio');
  assert.is(rig.run('debug-keys', 'q').stdout, '');
  const log = rig.run('dmesg', '-c').stdout;
  assert.match(log, 'Interrupts { 20 }');
  assert.is(rig.run('dmesg').stdout, '');
  assert.is(rig.run('console', 'guest').stdout, 'hello from 1\n');
  assert.is(rig.run('domname', '1').stdout, 'guest\n');
  assert.match(rig.run('list', '-v', 'guest').stdout, /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/);
});

rows.run();
