/** JSON-RPC 2.0, one message a line: what a line asks for, and the lines that answer it. */

import { PortcullisError } from '../../index';

export const RPC = {
  parseError: -32700, invalidRequest: -32600, unknownMethod: -32601, invalidParams: -32602, internal: -32603,
  /** What the machine refused: `data` has the code and the fields of its error. */
  refused: -32000,
} as const;

export type Id = string | number | null;

export interface RpcRequest {
  /** Missing: a notification, which is not answered. */
  readonly id: Id | undefined;
  readonly method: string;
  readonly params: unknown;
}

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: { readonly code: string; readonly fields?: unknown };
}

/** What a line asks for, or the line that refuses it. */
export type Read = { readonly request: RpcRequest } | { readonly refusal: string };

/** JSON is UTF-8 (RFC 8259 §8.1). */
const DECODER = new TextDecoder('utf-8', { fatal: true });

export function readLine(bytes: Uint8Array): Read {
  let value: unknown;
  try {
    value = JSON.parse(DECODER.decode(bytes));
  } catch (error) {
    return refuse(null, RPC.parseError, `this line is no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (Array.isArray(value)) return refuse(null, RPC.invalidRequest, 'batches are not served; send each request in a line of its own');
  if (typeof value !== 'object' || value === null) return refuse(null, RPC.invalidRequest, 'a request is an object');
  const { jsonrpc, id, method, params = {} } = value as Record<string, unknown>;
  const isId = id === undefined || id === null || typeof id === 'string' || typeof id === 'number';
  const answerTo = isId && id !== undefined ? id : null;
  if (jsonrpc !== '2.0') return refuse(answerTo, RPC.invalidRequest, '"jsonrpc" must be "2.0"');
  if (!isId) return refuse(null, RPC.invalidRequest, '"id" must be a string, a number or null');
  if (typeof method !== 'string') return refuse(answerTo, RPC.invalidRequest, '"method" must be a string');
  if (typeof params !== 'object' || params === null) return refuse(answerTo, RPC.invalidRequest, '"params" must be an object');
  return { request: { id, method, params } };
}

function refuse(id: Id, code: number, message: string): Read {
  return { refusal: errorLine(id, { code, message }) };
}

export function resultLine(id: Id, result: unknown): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, result: result ?? null })}\n`;
}

export function errorLine(id: Id, error: RpcError): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, error })}\n`;
}

export function requestLine(id: Id, method: string, params: unknown): string {
  return `${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`;
}

const CODES: Readonly<Record<string, number>> = { UNKNOWN_METHOD: RPC.unknownMethod, BAD_PARAMS: RPC.invalidParams };

/** What a request came to that was not served. An error that is not the machine's is a bug of ours. */
export function errorOf(error: unknown): RpcError {
  if (!(error instanceof PortcullisError)) {
    const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { code: RPC.internal, message: what };
  }
  const text = 'text' in error ? { text: error.text } : {};
  return { code: CODES[error.code] ?? RPC.refused, message: error.message,
    data: { code: error.code, fields: { ...error.fields, ...text } } };
}
