/** What xl leaves running for each domain that it has made: it waits for the domain to stop, and does as its config says. */

import type { Task } from '../schedule/scheduler';
import { createDomain } from './create';
import { destroyDomain } from './destroy';
import type { EndAction } from './domain-config';
import { rename } from './domain-nodes';
import { LibxlError } from './errors';
import { DOM0, type KnownDomain, Run, type Toolstack } from './toolstack';

/** Between the end of a domain and its next life: one that stops at once does not keep the machine from all else. */
const RESTART_DELAY = 2e9;

export function watchOver(tools: Toolstack, known: KnownDomain): void {
  tools.parts.scheduler.spawn(`xl, for ${known.name}`, DOM0, guard(tools, known));
}

function* guard(tools: Toolstack, known: KnownDomain): Task {
  const { domid } = known.domain;
  const isThere = (): boolean => tools.domains.get(domid) === known;
  const stopped = (): boolean => isThere() && tools.domctl.info(domid).shutdown !== undefined;
  yield { until: () => !isThere() || stopped() };
  if (!isThere()) return;
  const run = new Run(tools);
  try {
    // the store tells those who watch for the end of domains
    tools.parts.store.shutdown(domid);
    run.out.complain(`Domain ${domid} has shut down, reason code ${tools.domctl.info(domid).shutdown}`);
    yield* run.locked(domid, () => act(run, known, isThere));
  } catch (error) {
    if (!(error instanceof LibxlError)) throw error;
  } finally {
    tools.log(known.name, run.out);
    run.close();
  }
}

function actionFor(tools: Toolstack, { domain, config }: KnownDomain): EndAction | undefined {
  switch (tools.domctl.info(domain.domid).shutdown) {
    case 'poweroff': return config.onPoweroff;
    case 'reboot': return config.onReboot;
    case 'crash': case 'watchdog': return config.onCrash;
    default: return undefined;
  }
}

function* act(run: Run, known: KnownDomain, isThere: () => boolean): Task {
  if (!isThere()) return;
  const { domid } = known.domain;
  const action = actionFor(run.tools, known);
  run.out.complain(`Action for shutdown of domain ${domid} is ${action ?? 'none'}`);
  if (action === undefined || action === 'preserve') return;
  if (action.startsWith('coredump')) run.out.warn('no core is dumped: that is not modelled');
  if (action === 'rename-restart') {
    known.name = `${known.config.name}-${domid}`;
    rename(run.store, domid, known.uuid, known.name);
  } else yield* destroyDomain(run, known);
  if (!action.endsWith('restart')) return;
  yield { timeout: RESTART_DELAY };
  watchOver(run.tools, yield* createDomain(run, known.config, false));
}
