// The orders of xen-observed.md section 4, step by step.
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { guestConfig, toolstackRig } from '../../helpers/toolstack';

const test = suite('life cycle');

test('explore', async () => {
  const rig = await toolstackRig();
  console.log(rig.run('pci-assignable-add', '00:04.0'), rig.run('pci-assignable-add', '00:06.0'), rig.run('pci-assignable-list'));
  console.log(rig.trace.take());
  console.log(rig.create(guestConfig(['00:04.0', '00:06.0'])));
  rig.pass(1);
  console.log(rig.trace.take().join('\n'));
  console.log(rig.dump());
  console.log(rig.run('list'), rig.run('list', '-l', 'guest').stdout);
  console.log(rig.run('pci-assignable-add', '00:07.0'), rig.run('pci-attach', 'guest', '00:07.0'));
  rig.pass(1);
  console.log(rig.trace.take().join('\n'));
  console.log(rig.run('pci-detach', 'guest', '00:04.0'));
  console.log(rig.trace.take().join('\n'));
  console.log(rig.run('destroy', 'guest'));
  console.log(rig.trace.take().join('\n'));
  console.log(rig.dump());
});

test.run();
