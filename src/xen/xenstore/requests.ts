/** What each type of message does. Checks are in xenstored's order: type, privilege, transaction, shape, path. */

import { concat, textOf } from './bytes';
import type { Connection } from './connection';
import { control } from './control';
import { XenstoreError } from './errors';
import { Operations } from './operations';
import { settle } from './output';
import type { Cause } from './output';
import { absolute, checkPath, domainPath, isSpecial, RELATIVE_MAX } from './paths';
import { formatPermission, may, parsePermissions } from './permissions';
import type { Permissions } from './permissions';
import { refuse } from './quotas';
import { eventBase, FIRST_RESERVED } from './state';
import type { StoreState } from './state';
import { Transaction } from './transactions';
import type { TransactionLimits } from './transactions';
import { decodeStrings, encodeStrings, PAYLOAD_MAX, XS } from './wire';
import type { Message } from './wire';

export interface Call {
  readonly state: StoreState;
  readonly connection: Connection;
  readonly transaction: Transaction | undefined;
  readonly payload: Uint8Array;
  readonly cause: Cause | undefined;
  /** Called when the reply is queued. */
  readonly afterwards: Array<() => void>;
}

interface Handler {
  readonly handle: (call: Call) => Uint8Array;
  /** For domain 0 and clients of the socket. */
  readonly privileged?: true;
  /** Has nothing to do with transactions, and does not look at the id. */
  readonly anyTransaction?: true;
}

const OK = encodeStrings('OK');
/** DOMID_SELF of public/xen.h. */
const DOMID_SELF = 0x7ff0;

const HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [XS.CONTROL, { handle: ({ state, payload }) => control(state, payload), privileged: true }],
  [XS.DIRECTORY, { handle: directory }],
  [XS.READ, { handle: (call) => operations(call).get(pathIn(call, oneString(call)), 'read').value }],
  [XS.GET_PERMS, { handle: getPermissions }],
  [XS.WATCH, { handle: watch, anyTransaction: true }],
  [XS.UNWATCH, { handle: unwatch, anyTransaction: true }],
  [XS.TRANSACTION_START, { handle: startTransaction }],
  [XS.TRANSACTION_END, { handle: endTransaction }],
  [XS.INTRODUCE, { handle: introduce, privileged: true }],
  [XS.RELEASE, { handle: release, privileged: true }],
  [XS.GET_DOMAIN_PATH, { handle: (call) => encodeStrings(domainPath(domainId(oneString(call)))) }],
  [XS.WRITE, { handle: write }],
  [XS.MKDIR, { handle: makeDirectory }],
  [XS.RM, { handle: remove }],
  [XS.SET_PERMS, { handle: setPermissions }],
  [XS.IS_DOMAIN_INTRODUCED, { handle: isIntroduced, privileged: true }],
  [XS.RESUME, { handle: resume, privileged: true }],
  [XS.SET_TARGET, { handle: setTarget, privileged: true }],
  [XS.RESET_WATCHES, { handle: resetWatches }],
  [XS.DIRECTORY_PART, { handle: directoryPart }],
]);

/** Runs one request and queues its reply. */
export function serve(state: StoreState, connection: Connection, message: Message): void {
  const cause = causeFor(connection);
  const afterwards: Array<() => void> = [];
  let type = message.type;
  let payload: Uint8Array;
  // Holds the request open until its reply is queued, whatever becomes of its events before.
  if (cause) cause.pending++;
  try {
    payload = answer(state, connection, message, cause, afterwards);
    if (payload.length > PAYLOAD_MAX) throw new XenstoreError('E2BIG', `an answer of ${payload.length} bytes`);
  } catch (error) {
    if (!(error instanceof XenstoreError)) throw error;
    type = XS.ERROR;
    payload = encodeStrings(error.code);
  }
  connection.reply(message, type, payload, cause);
  for (const step of afterwards) step();
  settle(cause);
}

function answer(
  state: StoreState, connection: Connection, { type, transactionId, payload }: Message, cause: Cause | undefined,
  afterwards: Array<() => void>,
): Uint8Array {
  const handler = HANDLERS.get(type);
  if (handler === undefined) throw new XenstoreError('ENOSYS', `no message has type ${type}`, { type });
  if (handler.privileged && !connection.privileged) {
    throw new XenstoreError('EACCES', `domain ${connection.domid} is not privileged`, { domid: connection.domid });
  }
  const ignored = handler.anyTransaction === true || transactionId === 0;
  const transaction = ignored ? undefined : connection.transactions.get(transactionId);
  if (!ignored && transaction === undefined) {
    throw new XenstoreError('ENOENT', `there is no transaction ${transactionId}`, { transactionId });
  }
  return handler.handle({ state, connection, transaction, payload, cause, afterwards });
}

/** Requests of domains are counted until all that came of them has been taken. */
function causeFor(connection: Connection): Cause | undefined {
  if (connection.privileged) return undefined;
  connection.outstanding++;
  return { pending: 0, owner: connection };
}

function operations({ state, connection, transaction, cause }: Call): Operations {
  return new Operations(connection, transaction ?? state.directView(cause), state.quotas, state.room(connection));
}

function malformed(what: string): XenstoreError {
  return new XenstoreError('EINVAL', `the request is malformed: ${what}`);
}

/** The payload as strings, each with its NUL. */
function strings({ payload }: Call, least: number, most = least): string[] {
  const found = decodeStrings(payload);
  if (found === undefined || found.length < least || found.length > most) {
    throw malformed(`${least === most ? '' : 'at least '}${least} strings with a NUL each are wanted`);
  }
  return found;
}

function oneString(call: Call): string {
  return strings(call, 1)[0] as string;
}

/** A number as people write it, from 0 to `most`. */
function decimal(text: string, most: number): number {
  const value = Number(text);
  if (!/^\d{1,10}$/.test(text) || value > most) throw malformed(`'${text}' is no number up to ${most}`);
  return value;
}

function domainId(text: string): number {
  return decimal(text, 0xffff);
}

function pathIn({ state, connection }: Call, path: string): string {
  return checkPath(path, connection.domid, connection.privileged ? Infinity : state.quotas['path-max']);
}

function directory(call: Call): Uint8Array {
  return encodeStrings(...operations(call).get(pathIn(call, oneString(call)), 'read').children);
}

/** As many whole names from an offset on as go into one message; an empty one behind the last. */
function directoryPart(call: Call): Uint8Array {
  const [path, from] = strings(call, 2) as [string, string];
  const node = operations(call).get(pathIn(call, path), 'read');
  const offset = decimal(from, 0xffffffff);
  const list = encodeStrings(...node.children);
  const generation = encodeStrings(String(node.generation));
  if (offset >= list.length) return concat(generation, new Uint8Array(1));
  const room = PAYLOAD_MAX - generation.length - 1;
  const isRest = list.length - offset <= room;
  const end = isRest ? list.length : list.lastIndexOf(0, offset + room - 1) + 1;
  return concat(generation, list.subarray(offset, Math.max(end, offset)), new Uint8Array(isRest ? 1 : 0));
}

function getPermissions(call: Call): Uint8Array {
  const path = oneString(call);
  const permissions = isSpecial(path) ? special(call, path, 'read')
    : operations(call).get(pathIn(call, path), 'read').permissions;
  return encodeStrings(...permissions.map(formatPermission));
}

function special({ state, connection }: Call, name: string, right: 'read' | 'own'): Permissions {
  const permissions = state.special.get(name);
  if (permissions === undefined) throw malformed(`there is no event ${name}`);
  if (!may(connection, permissions, right)) throw new XenstoreError('EACCES', `${name} is not for this domain`);
  return permissions;
}

function setPermissions(call: Call): Uint8Array {
  const { state, connection, transaction } = call;
  const [path, ...texts] = strings(call, 2, Infinity) as [string, ...string[]];
  // Before anything is read of them.
  if (!connection.privileged && texts.length > state.quotas.permissions) {
    throw refuse('permissions', 'ENOSPC', state.quotas.permissions);
  }
  const permissions = parsePermissions(texts, (domid) => domid === 0 || state.host.exists(domid));
  if (isSpecial(path)) {
    special(call, path, 'own');
    if (transaction) throw malformed('events have no transactions');
    state.special.set(path, permissions);
  } else {
    operations(call).setPermissions(pathIn(call, path), permissions);
  }
  return OK;
}

/** The path ends at the first NUL; all behind it is the value, whatever it holds. */
function write(call: Call): Uint8Array {
  const end = call.payload.indexOf(0);
  if (end < 0) throw malformed('a NUL belongs between path and value');
  operations(call).write(pathIn(call, textOf(call.payload.subarray(0, end))), call.payload.slice(end + 1));
  return OK;
}

function makeDirectory(call: Call): Uint8Array {
  operations(call).makeDirectory(pathIn(call, oneString(call)));
  return OK;
}

function remove(call: Call): Uint8Array {
  operations(call).remove(pathIn(call, oneString(call)));
  return OK;
}

function watch(call: Call): Uint8Array {
  const { state, connection, afterwards } = call;
  // A third string, the depth, came after 4.17.
  const [given, token] = strings(call, 2) as [string, string];
  if (isSpecial(given) && given.length > RELATIVE_MAX) throw malformed('the name of the event is too long');
  const path = isSpecial(given) ? given : pathIn(call, given);
  if (connection.watches.some((one) => one.path === path && one.token === token)) {
    throw new XenstoreError('EEXIST', `${path} is watched with this token already`, { path });
  }
  if (!connection.privileged) {
    // E2BIG in 4.17, ENOSPC later.
    if (connection.watches.length >= state.quotas.watches) throw refuse('watches', 'E2BIG', state.quotas.watches);
    if (path.length + token.length > state.room(connection)) throw refuse('memory', 'ENOMEM', state.quotas.memory);
  }
  const added = { path, token, relativeTo: eventBase(connection, given) };
  connection.watches.push(added);
  // At once, and without asking whether there is such a node or who may read it: clients start from there. No
  // request is to wait for it.
  afterwards.push(() => state.sendEvent(connection, path, added));
  return OK;
}

function unwatch(call: Call): Uint8Array {
  const { watches, domid } = call.connection;
  const [given, token] = strings(call, 2) as [string, string];
  const path = absolute(given, domid);
  const index = watches.findIndex((one) => one.path === path && one.token === token);
  if (index < 0) throw new XenstoreError('ENOENT', `${path} is not watched with this token`, { path });
  watches.splice(index, 1);
  return OK;
}

function startTransaction({ state, connection, transaction }: Call): Uint8Array {
  if (transaction) throw new XenstoreError('EBUSY', 'a transaction has no transactions of its own');
  const { quotas, tree } = state;
  if (!connection.privileged && connection.transactions.size >= quotas.transactions) {
    throw refuse('transactions', 'ENOSPC', quotas.transactions);
  }
  const id = connection.takeTransactionId();
  connection.transactions.set(id, new Transaction(id, tree, limitsFor(state, connection)));
  return encodeStrings(String(id));
}

export function limitsFor({ quotas }: StoreState, { privileged }: Connection): TransactionLimits {
  return {
    nodesPerDomain: privileged ? Infinity : quotas.nodes,
    nodesAccessed: privileged ? Infinity : quotas['transaction-nodes'],
  };
}

/** Whatever comes of it, the transaction is over. */
function endTransaction(call: Call): Uint8Array {
  const { state, connection, transaction, cause } = call;
  const how = oneString(call);
  if (how !== 'T' && how !== 'F') throw malformed(`a transaction ends by T or F, not '${how}'`);
  if (transaction === undefined) throw new XenstoreError('ENOENT', 'there is no transaction to end');
  connection.transactions.delete(transaction.id);
  if (how === 'T') for (const change of transaction.commit(state.goneAt)) state.fire(change, cause);
  return OK;
}

function introduce(call: Call): Uint8Array {
  const [domid, gfn, port] = strings(call, 3, Infinity) as [string, string, string];
  const [id, channel] = [decimal(domid, FIRST_RESERVED - 1), decimal(port, 0xffffffff)];
  // xenstored maps the page by its grant; the frame is looked at for its shape only. It may have 64 bits.
  if (!/^\d{1,20}$/.test(gfn)) throw malformed(`'${gfn}' is no frame`);
  if (channel === 0) throw malformed('port 0 is no event channel');
  // A client that introduces itself starts anew with the reply: all that waits for it is dropped.
  call.state.introduce(id, Number(gfn), channel, call.cause);
  return OK;
}

function introduced({ state }: Call, text: string): number {
  const domid = domainId(text);
  if (!state.domains.has(domid)) throw new XenstoreError('ENOENT', `domain ${domid} is not introduced`, { domid });
  return domid;
}

function guest(call: Call, text: string): number {
  if (domainId(text) === 0) throw malformed('domain 0 has the store');
  return introduced(call, text);
}

function release(call: Call): Uint8Array {
  call.state.release(guest(call, oneString(call)), call.cause);
  return OK;
}

function resume(call: Call): Uint8Array {
  const domain = call.state.domains.get(guest(call, oneString(call)));
  if (domain) domain.shutdown = false;
  return OK;
}

function setTarget(call: Call): Uint8Array {
  const [domid, target] = strings(call, 2, Infinity) as [string, string];
  const domain = call.state.domains.get(introduced(call, domid));
  if (domain) domain.connection.target = introduced(call, target);
  return OK;
}

function isIntroduced(call: Call): Uint8Array {
  const domid = domainId(oneString(call));
  return encodeStrings(domid === DOMID_SELF || call.state.domains.has(domid) ? 'T' : 'F');
}

function resetWatches({ connection }: Call): Uint8Array {
  connection.forget();
  return OK;
}

