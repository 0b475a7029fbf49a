// struct xen_domctl as a program that was compiled against public/domctl.h of Xen 4.17 fills it in: cmd, version 0x15,
// domain, and the operation's part from byte 16 on.
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { domctlOp } from '../../../src/xen/hypervisor/domctl-op';
import { DOM_IO, EDU, controlPlane } from '../../helpers/control-plane';

type Field = readonly [off: number, bytes: 1 | 4 | 8, value: number];

function struct(cmd: number, domid: number, fields: readonly Field[] = [], version = 0x15): Uint8Array {
  const view = new DataView(new ArrayBuffer(144));
  view.setUint32(0, cmd, true);
  view.setUint32(4, version, true);
  view.setUint16(8, domid, true);
  for (const [off, bytes, value] of fields) {
    if (bytes === 8) view.setBigUint64(16 + off, BigInt(value), true);
    else if (bytes === 4) view.setUint32(16 + off, value, true);
    else view.setUint8(16 + off, value);
  }
  return new Uint8Array(view.buffer);
}

test('each operation does what its method does', async () => {
  const { hypervisor, guest, barFrame } = await controlPlane();
  const id = guest.domid;
  const bar = barFrame(EDU);
  const call = (cmd: number, fields: readonly Field[] = [], domid = id): void => {
    assert.is(domctlOp(hypervisor, 0, struct(cmd, domid, fields)), 0, `${cmd}`);
  };
  call(19, [[0, 4, 22], [4, 1, 1]]);
  call(20, [[0, 8, bar], [8, 8, 16], [16, 1, 1]]);
  call(21, [[0, 4, 0xc000], [4, 4, 32], [8, 1, 1]]);
  assert.equal([guest.irq.ranges, guest.iomem.ranges, guest.ioport.ranges], [[[22, 22]], [[bar, bar + 15]], [[0xc000, 0xc01f]]]);
  call(20, [[0, 8, bar], [8, 8, 1], [16, 1, 0]]);
  assert.equal(guest.iomem.ranges, [[bar + 1, bar + 15]]);
  call(39, [[0, 8, 0x80000], [8, 8, bar], [16, 8, 1], [24, 4, 1]]);
  call(45, [[8, 4, EDU]]);
  call(45, [[8, 4, EDU]], 0x7ff4);
  call(37, [[8, 4, EDU]], DOM_IO);
  call(37, [[4, 4, 1], [8, 4, EDU]]);
  assert.is(hypervisor.ownerOf(EDU), id);
  call(47, [[8, 4, EDU]]);
  call(47, [[8, 4, EDU]], DOM_IO);
  assert.is(hypervisor.ownerOf(EDU), 0);
  call(4);
  call(3);
  assert.is(guest.pauses, 1);
  call(2);
  assert.is(hypervisor.domains.some(({ domid }) => domid === id), false);
});

test('what is refused, and with what', async () => {
  const { hypervisor, guest, refused } = await controlPlane();
  const id = guest.domid;
  const cases: Array<[what: string, bytes: Uint8Array, result: number, caller?: number]> = [
    ['the version of 4.23', struct(3, id, [], 0x18), -13], ['version 0', struct(3, id, [], 0), -13],
    ['the version comes before everything else', struct(999, 77, [], 0), -13],
    ['too short', struct(3, id).slice(0, 143), -14], ['nothing', new Uint8Array(0), -14],
    ['no such operation', struct(999, id), -38], ['gsi_permission came later', struct(88, id, [[0, 4, 22], [4, 4, 1]]), -38],
    ['no such domain', struct(3, 77), -3], ['a guest', struct(3, id), -1, id],
    ['64-bit frames are not cut off (XSA-476)', struct(20, id, [[0, 8, 2 ** 32 + 0xfe000], [8, 8, 1], [16, 1, 1]]), -22],
    ['nor their number', struct(20, id, [[0, 8, 0xfe000], [8, 8, 2 ** 32 + 1], [16, 1, 1]]), -22],
    ['wraps', struct(20, id, [[0, 8, 2 ** 52], [8, 8, 2 ** 52], [16, 1, 1]]), -22],
    ['ports wrap', struct(21, id, [[0, 4, 0xffffffff], [4, 4, 2], [8, 1, 1]]), -22],
    ['a device tree device', struct(37, id, [[0, 4, 1], [8, 4, EDU]]), -19],
    ['flags of assign', struct(37, id, [[4, 4, 2], [8, 4, EDU]]), -22],
    ['flags of test', struct(45, id, [[4, 4, 1], [8, 4, EDU]]), -22], ['flags of deassign', struct(47, id, [[4, 4, 1], [8, 4, EDU]]), -22],
    ['another segment', struct(37, id, [[8, 4, 0x10000 | EDU]]), -19], ['no such device', struct(37, id, [[8, 4, 0x9999]]), -19],
    ['ports of a PV guest', struct(40, id, [[0, 4, 0xc000], [4, 4, 0xc000], [8, 4, 4], [12, 4, 1]]), -95],
  ];
  for (const [what, bytes, result, caller = 0] of cases) {
    let found = 1;
    refused(() => {
      found = domctlOp(hypervisor, caller, bytes);
      throw Object.assign(new Error(), { code: 'done' });
    }, 'done', what);
    assert.is(found, result, what);
  }
});

test.run();
