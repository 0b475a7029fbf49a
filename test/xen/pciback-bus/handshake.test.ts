// The PCI handshake as it was observed: states, keys, formats and order, recorded by a watch (xen-observed.md 3 and 4).
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { PciSplit } from '../../helpers/pci-split';

const connecting = suite('connecting');

connecting('two devices, the second while the guest is still paused', async () => {
  const split = await PciSplit.create();
  split.connect();
  assert.is(split.states, 'B1 F1 B2 B3 F3 B4 F4');
  const opts = 'msitranslate=0,power_mgmt=0,permissive=0,rdm_policy=strict';
  assert.equal(split.trace.filter((line) => /=/.test(line)), [
    `B/frontend=/local/domain/${split.domid}/device/pci/0`, `B/frontend-id=${split.domid}`, 'B/online=1', 'B/state=1',
    'B/domain=guest', `F/backend=/local/domain/0/backend/pci/${split.domid}/0`, 'F/backend-id=0', 'F/state=1',
    'B/key-0=0000:00:04.0', 'B/dev-0=0000:00:04.0', `B/opts-0=${opts}`, 'B/state-0=1', 'B/num_devs=1',
    'B/state=2', 'B/vdev-0=0000:00:00.00', 'B/state-0=3', 'B/root-0=0000:00', 'B/root_num=1', 'B/state=3',
    'B/key-1=0000:00:06.0', 'B/dev-1=0000:00:06.0', `B/opts-1=${opts}`, 'B/state-1=1', 'B/num_devs=2',
    'B/vdev-1=0000:00:01.00', 'B/state-1=3',
    'F/pci-op-ref=8', 'F/event-channel=1', 'F/magic=7', 'F/state=3', 'B/state=4', 'F/state=4',
  ]);
  assert.equal(split.pcifront?.devices.map(({ name }) => name), ['0000:00:00.0', '0000:00:01.0']);
});

connecting.run();
