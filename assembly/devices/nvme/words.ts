// Words of the controller's state, and of its registers.
import { Nvme, NvmeCq, NvmeNamespace, NvmeSq, NvmeState } from '../../spec/nvme';
import { registerGet, registerSet } from '../../bus/functions';

@inline
export function get(s: usize, word: u32): u32 {
  return load<u32>(s + word);
}

@inline
export function set(s: usize, word: u32, value: u32): void {
  store<u32>(s + word, value);
}

/** A dword of the command that is under way. */
@inline
export function cdw(s: usize, n: u32): u32 {
  return load<u32>(s + NvmeState.COMMAND + (n << 2));
}

@inline
export function cdw64(s: usize, n: u32): u64 {
  return load<u64>(s + NvmeState.COMMAND + (n << 2));
}

@inline
export function sqPtr(s: usize, id: u32): usize {
  return s + NvmeState.SUBMISSION + id * NvmeSq.SIZE_OF;
}

@inline
export function cqPtr(s: usize, id: u32): usize {
  return s + NvmeState.COMPLETION + id * NvmeCq.SIZE_OF;
}

@inline
export function sqThere(s: usize, id: u32): bool {
  return id < <u32>Nvme.QUEUES && load<u32>(sqPtr(s, id), NvmeSq.ENTRIES) != 0;
}

@inline
export function cqThere(s: usize, id: u32): bool {
  return id < <u32>Nvme.QUEUES && load<u32>(cqPtr(s, id), NvmeCq.ENTRIES) != 0;
}

/** A namespace's record; `nsid` from 1 on. */
@inline
export function namespacePtr(s: usize, nsid: u32): usize {
  return s + NvmeState.NAMESPACE_TABLE + (nsid - 1) * NvmeNamespace.SIZE_OF;
}

@inline
export function namespaceThere(s: usize, nsid: u32): bool {
  return nsid - 1 < get(s, NvmeState.NAMESPACE_COUNT);
}

@inline
export function statusSet(b: usize, fn: u32, clear: u32, value: u32): void {
  registerSet(b, fn, 0, Nvme.CSTS, (registerGet(b, fn, 0, Nvme.CSTS) & ~clear) | value);
}
