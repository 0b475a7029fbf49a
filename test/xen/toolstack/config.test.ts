// What can be written in a config and on the command line: xl.cfg(5), xl-pci-configuration(5), getopt.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { type ConfigValue, parseConfigText } from '../../../src/xen/toolstack/config-text';
import { readDomainConfig } from '../../../src/xen/toolstack/domain-config';
import { parseOptions } from '../../../src/xen/toolstack/options';
import { parseAddress, parsePciSpec } from '../../../src/xen/toolstack/pci-spec';

const plain = (value: ConfigValue): unknown => (value.kind === 'list' ? value.items.map(plain) : value.kind === 'number' ? Number(value.text) : value.text);
const read = (text: string): Record<string, unknown> => Object.fromEntries([...parseConfigText(text, 'a.cfg')].map(([name, value]) => [name, plain(value)]));
const messageOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

const syntax = suite('xl.cfg syntax');

syntax('strings, numbers, lists, comments, semicolons, lines', () => {
  for (const [text, expected] of [
    ['', {}], ['# nothing\n\n ; ;\n', {}], ['a = 1', { a: 1 }], ['a=0x1F; b = -3 # c = 4', { a: 31, b: -3 }],
    ['a = "x\'y"\nb = \'x"y\'', { a: 'x\'y', b: 'x"y' }], ['a = "x#y;z"', { a: 'x#y;z' }], ['a = "\\"\\n\\\\"', { a: '"\n\\' }],
    ['a = []', { a: [] }], ['a = [ 1, "b", ]', { a: [1, 'b'] }], ['a = [\n # one\n "x",\n\n "y"\n]\nb = 1', { a: ['x', 'y'], b: 1 }],
    ['a = [ [ 1 ], [ ] ]', { a: [[1], []] }], ['a = 1\na = 2', { a: 2 }], ['a = [ 1 ]\na += [ 2 ]', { a: [1, 2] }],
    ['a = "x"; a += "y"', { a: 'xy' }], ['a += "y"', { a: 'y' }], ['a = "x"\r\nb = 2\r\n', { a: 'x', b: 2 }],
  ] as const) assert.equal(read(text), expected, text);
});

syntax('errors name the file, the line and the place', () => {
  for (const [text, expected] of [
    ['a', 'a.cfg:1: config parsing error near the end: = is wanted here'],
    ['a = \n', 'a.cfg:1: config parsing error near the end of the line: a number, a string in quotes or a list is wanted here'],
    ['\na = 1 b = 2', 'a.cfg:2: config parsing error near `b\': the end of the line, or a semicolon, is wanted here'],
    ['a = [ 1 2 ]', 'a.cfg:1: config parsing error near `2\': a comma or ] is wanted here'],
    ['a = [ 1,', 'a.cfg:1: config parsing error near the end: a number, a string in quotes or a list is wanted here'],
    ['a = "x', 'a.cfg:1: config parsing error near "\\"x": no such thing is known'],
    ['= 1', 'a.cfg:1: config parsing error near `=\': the name of a setting is wanted here'],
    ['a = x', 'a.cfg:1: config parsing error near `x\': a number, a string in quotes or a list is wanted here'],
    ['a = 1; a += 2', 'a.cfg:1: config parsing error near `+=\': only a list goes to a list, and a string to a string'],
    [`a = ${'['.repeat(20)}`, 'a.cfg:1: config parsing error near `[\': lists go 8 deep'],
  ] as const) assert.is(messageOf(() => read(text)), expected, text);
});

syntax('anything at all gives a config or an error that says where', () => {
  const pieces = ['a', '=', '+=', '[', ']', ',', ';', '\n', '"x"', '1', '#', '\\', '\0', 'é', '"', ' '];
  for (let seed = 0; seed < 3000; seed++) {
    let text = '';
    for (let rest = seed * 2654435761 % 2 ** 32, i = 0; i < 8; i++, rest = Math.floor(rest / 16)) text += pieces[rest % 16];
    const message = messageOf(() => read(text));
    assert.ok(message === '' || message.startsWith('a.cfg:'), `${JSON.stringify(text)}: ${message}`);
  }
});

syntax.run();

const settings = suite('domain config');
const config = (text: string) => readDomainConfig(parseConfigText(`name = "g"\nkernel = "k"\n${text}`, 'a.cfg'), () => undefined);

settings('defaults and values', () => {
  const made = config('');
  assert.equal([made.type, made.memory, made.vcpus, made.pcifront, made.passthrough, made.e820Host], ['pv', 32, 1, 'linux', 'default', false]);
  assert.equal([made.onPoweroff, made.onReboot, made.onCrash], ['destroy', 'restart', 'destroy']);
  const more = config('extra = "a b"\npci_permissive = 1\npci = ["04.0", "00:04.0,permissive=0"]'.replace('"04.0", ', '"00:06.0", '));
  assert.equal(more.pci.map(({ permissive }) => permissive), [true, false]);
  assert.ok(more.e820Host, 'a PV guest with devices has the host\'s memory map');
  assert.is(more.commandLine, 'a b');
  assert.equal(config('ioports = ["2f8-2ff", "60"]\nirqs = [5]\niomem = ["fed40,5"]').ioports, [{ first: 0x2f8, count: 8 }, { first: 0x60, count: 1 }]);
  assert.is(config('builder = "hvm"').type, 'hvm');
});

settings('what cannot be', () => {
  for (const [text, expected] of [
    ['memory = "much"', 'line 3: memory is "much"; it must be a whole number from 1 to 1048576'], ['memory = 0', 'memory is "0"'],
    ['vcpus = 33', 'vcpus is "33"'], ['vcpus = [1]', 'vcpus is a list'], ['type = "pvm"', 'type is "pvm"; it must be one of pv, hvm, pvh'],
    ['name = "a/b"', 'name is "a/b"'], ['name = "12"', 'name is "12"'], ['uuid = "x"', 'uuid is "x"'], ['pci = "00:04.0"', 'pci must be a list'],
    ['pci = [["00:04.0"]]', 'pci is a list of strings'], ['pci = ["00:04.0,vslot=20"]', 'unable to parse PCI_SPEC_STRING \'00:04.0,vslot=20\''],
    ['ioports = ["2ff-2f8"]', 'ioports: "2ff-2f8"'], ['iomem = ["fed40"]', 'iomem: "fed40"'], ['iomem = ["fed40,1@10"]', 'a PV guest maps'],
    ['irqs = [256]', 'irqs is "256"'], ['on_crash = "explode"', 'on_crash is "explode"'], ['pcifront = "bsd"', 'pcifront is "bsd"'],
    ['pci_permissive = 2', 'pci_permissive is "2"'], ['extra = ["a"]', 'extra is a list'],
  ] as const) assert.ok(messageOf(() => config(text)).includes(expected), `${text}: ${messageOf(() => config(text))}`);
});

settings.run();

const specs = suite('PCI_SPEC_STRING');

specs('addresses', () => {
  for (const [text, ...parts] of [
    ['00:04.0', 0, 0, 4, 0], ['0000:00:04.0', 0, 0, 4, 0], ['3:1f.7', 0, 3, 0x1f, 7], ['ffff:ff:1F.3', 0xffff, 0xff, 0x1f, 3], ['0:0:4.0', 0, 0, 4, 0],
  ] as const) {
    const { segment, bus, device, function: fn, allFunctions } = parseAddress(text);
    assert.equal([segment, bus, device, fn, allFunctions], [...parts, false], text);
  }
  assert.ok(parseAddress('00:0a.*').allFunctions);
  for (const bad of ['', 'zz', '04.0', '00:04', '0000:00:04', '00:04.8', '00:20.0', '100:04.0', '10000:00:04.0', '0:0:0:4.0', '00:04.0 ', '00:04.00x', '-1:04.0']) {
    assert.match(messageOf(() => parseAddress(bad)), 'is no PCI address', bad);
  }
});

specs('the three ways to write one', () => {
  const wanted = parsePciSpec('36:00.0@20,seize=1'.replace('@20', '@1a'));
  for (const text of ['36:00.0,vslot=1a,seize=1', 'bdf=36:00.0,vslot=1a,seize=1', 'seize=1,vslot=1a,bdf=36:00.0']) {
    assert.equal(parsePciSpec(text), wanted, text);
  }
  assert.equal([wanted.vslot, wanted.seize, wanted.permissive, wanted.rdmPolicy], [0x1a, true, false, 'strict']);
  const all = parsePciSpec('00:04.0,permissive=1,msitranslate=1,power_mgmt=1,rdm_policy=relaxed');
  assert.equal([all.permissive, all.msitranslate, all.powerMgmt, all.rdmPolicy], [true, true, true, 'relaxed']);
  assert.is(parsePciSpec('name=nic').name, 'nic');
});

specs('errors', () => {
  for (const [text, expected] of [
    ['00:04.0,foo=1', 'Unknown PCI_SPEC_STRING option: foo'], ['00:04.0,rdm_policy=lax', 'Unknown RDM policy: lax'],
    ['00:04.0,foo', 'is no key=value'], ['00:04.0@1@2', 'more than one @'], ['00:04.0@20', 'vslot "20" is no slot'], ['00:04.0@', 'vslot "" is no slot'],
    ['00:04.0,bdf=00:06.0', 'two addresses'], ['00:04.0,name=x', 'either an address or a name'], ['seize=1', 'either an address or a name'],
    ['00:04.0,permissive=yes', 'permissive is "yes"; it must be 0 or 1'], ['', 'is no PCI address'],
  ] as const) assert.match(messageOf(() => parsePciSpec(text)), expected, text);
});

specs.run();

const options = suite('options');

options('as getopt takes them', () => {
  const table = { letters: 'vn:', long: { verbose: 'v', name: 'n' } };
  const parse = (...args: string[]) => {
    const { given, operands } = parseOptions('x', args, table);
    return [Object.fromEntries(given), operands];
  };
  assert.equal(parse('a', '-v', 'b'), [{ v: '' }, ['a', 'b']]);
  assert.equal(parse('-vn', 'x', '--', '-v'), [{ v: '', n: 'x' }, ['-v']]);
  assert.equal(parse('-nx', '--verbose'), [{ v: '', n: 'x' }, []]);
  assert.equal(parse('--name=a=b', '-'), [{ n: 'a=b' }, ['-']]);
  assert.equal(parse('--name', 'y'), [{ n: 'y' }, []]);
  for (const [args, message] of [
    [['-z'], 'invalid option -- \'z\''], [['-n'], 'requires an argument -- \'n\''], [['--zz'], 'unrecognized option \'--zz\''],
    [['--name'], 'option \'--name\' requires an argument'], [['-:'], 'invalid option -- \':\''], [['--constructor'], 'unrecognized'],
  ] as const) assert.match(messageOf(() => parse(...args)), message);
});

options.run();
