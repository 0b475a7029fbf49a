/** What xl leaves running for each domain that it has made: it waits for the domain to stop, and does as its config says. */

import { PortcullisError } from '../../errors';
import type { Task } from '../schedule/scheduler';
import { createDomain } from './create';
import { destroyDomain } from './destroy';
import type { EndAction } from './domain-config';
import { rename } from './domain-nodes';
import { LibxlError } from './errors';
import type { KnownDomain } from './known-domain';
import { DOM0, Run, type Toolstack } from './toolstack';

/** Between the end of a domain and its next life: one that stops at once does not keep the machine from all else. */
const RESTART_DELAY = 2e9;

export function watchOver(tools: Toolstack, known: KnownDomain): void {
  tools.parts.scheduler.spawn(`xl, for ${known.name}`, DOM0, guard(tools, known));
}

function* guard(tools: Toolstack, known: KnownDomain): Task {
  const { domain } = known;
  const isKnown = (): boolean => tools.domains.get(domain.domid) === known;
  const isThere = (): boolean => tools.parts.hypervisor.domains.includes(domain);
  yield { until: () => !isKnown() || !isThere() || domain.shutdown !== undefined };
  if (!isKnown()) return;
  const there = isThere();
  yield* end(tools, known, isThere, isKnown);
  if (!there || !isKnown()) return;
  // it is kept as it is, until a command ends it or it is gone by itself
  yield { until: () => !isKnown() || !isThere() };
  if (isKnown()) yield* end(tools, known, isThere, isKnown);
}

/** Does what the config says about the end that has come. */
function* end(tools: Toolstack, known: KnownDomain, isThere: () => boolean, isKnown: () => boolean): Task {
  const { domain } = known;
  const run = new Run(tools);
  try {
    // the store tells those who watch for the end of domains
    tools.parts.store.shutdown(domain.domid);
    run.out.complain(isThere() ? `Domain ${domain.domid} has shut down, reason code ${domain.shutdown}`
      : `Domain ${domain.domid} is gone`);
    const action = isThere() ? actionFor(known) : 'destroy';
    run.out.complain(`Action for shutdown of domain ${domain.domid} is ${action ?? 'none'}`);
    yield* run.locked(domain.domid, () => act(run, known, action, isKnown));
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    if (!(error instanceof LibxlError)) run.out.error(error.message);
  } finally {
    tools.log(known.name, run.out);
    run.close();
  }
}

function actionFor({ domain, config }: KnownDomain): EndAction | undefined {
  switch (domain.shutdown) {
    case 'poweroff': return config.onPoweroff;
    case 'reboot': return config.onReboot;
    case 'crash': case 'watchdog': return config.onCrash;
    default: return undefined;
  }
}

function* act(run: Run, known: KnownDomain, action: EndAction | undefined, isKnown: () => boolean): Task {
  // a command was faster
  if (!isKnown()) return;
  const { domid } = known.domain;
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
