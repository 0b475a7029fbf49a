// Memory that changes between two reads: a device reads each descriptor once, and goes by its copy.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { e1000 } from '../../src/devices/e1000/index';
import { nvme } from '../../src/devices/nvme/index';
import { NvmeHost } from '../helpers/nvme-host';
import { LinkHandle } from '../../src/devices/links/link';
import { generateStore } from '../../src/devices/links/store';
import { BASE, Rig } from '../helpers/window-rig';

test('a descriptor is fetched once, and its copy decides', async () => {
  const rig = await Rig.create('file', e1000);
  const link = new LinkHandle(rig.engine, rig.fn);
  rig.engine.exports.linkChanged(rig.fn);
  link.plugCapture(65536);
  for (let i = 0; i < 64; i++) rig.poke(0x8000 + i * 4, 0x01010101 * i);
  rig.poke(0x1000, BASE + 0x8000, 0, 100 | 0x0b << 24, 0);
  let fetches = 0;
  rig.onRead = (offset) => {
    if (offset !== 0x1000) return;
    fetches++;
    // longer than the device's buffer, and from somewhere else
    rig.poke(0x1000, BASE, 0, 0xffff | 0x0b << 24, 0);
  };
  rig.write(0x3800, BASE + 0x1000);
  rig.write(0x3804, 0);
  rig.write(0x3808, 128);
  rig.write(0x400, 0x0000000a);
  rig.write(0x3818, 1);
  rig.run();
  assert.is(fetches, 1);
  const [frame] = link.capture();
  assert.is(frame?.bytes.length, 100);
  assert.is(frame?.bytes[99], 24);
});

test('a receive descriptor too, when its buffer moves under it', async () => {
  const rig = await Rig.create('file', e1000);
  const link = new LinkHandle(rig.engine, rig.fn);
  rig.engine.exports.linkChanged(rig.fn);
  link.plugStore(generateStore('one', 64, 1, 1), false);
  rig.poke(0, BASE + 0x4000, 0, 0, 0);
  let fetches = 0;
  rig.onRead = (offset) => {
    if (offset !== 0) return;
    fetches++;
    rig.poke(0, BASE + 0x6000, 0);
  };
  rig.write(0x2800, BASE);
  rig.write(0x2808, 256);
  rig.write(0x2818, 1);
  rig.write(0x100, 0x0000801a);
  link.offer(1);
  rig.run();
  assert.is(fetches, 1);
  assert.is(rig.peek(0x6000), 0, 'nothing landed where the descriptor points now');
  assert.is.not(rig.peek(0x4000), 0);
});

test('a command is fetched once, and so is a piece of its PRP list', async () => {
  const rig = await Rig.create('file', nvme({ namespaces: [{ size: 1 << 20 }] }));
  const host = new NvmeHost(rig.engine, rig.fn, BASE, rig.backing, () => rig.run());
  host.queuesAt = 0x12000;
  host.enable();
  host.createQueue(1, 4);
  rig.poke(0x1000, BASE + 0x21000, 0, BASE + 0x22000, 0);
  for (let i = 0; i < 0x3000; i += 4) rig.poke(0x20000 + i, i + 1);
  let fetches = 0;
  rig.onRead = (offset) => {
    if (offset === 0x16000) {
      fetches++;
      // another command, elsewhere, far beyond the disk
      rig.poke(0x16000, 0x00000009, 2);
      rig.poke(0x16000 + 24, 0, 0, 0, 0, 0xffffffff, 0xffffffff, 0xffff);
    }
    if (offset !== 0x1000) return;
    fetches++;
    rig.poke(0x1000, 0x7f000000, 0, 0x7f000000, 0);
  };
  assert.is(host.io(1, 0, 24, { prp1: BASE + 0x20000, prp2: BASE + 0x1000, cid: 3 }).status, 0);
  assert.is(fetches, 2);
  rig.onRead = () => {};
  assert.is(host.io(2, 16, 8, { prp1: BASE + 0x30000 }).status, 0);
  assert.is(rig.peek(0x30000), 0x2001);
});

test.run();
