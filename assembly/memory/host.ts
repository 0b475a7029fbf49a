// What the engine asks of its host: bytes of file windows, synchronously. `first` is the window's first frame, the
// offset counts bytes in the window, `ptr` is a linear address. 0: done; anything else: refused.
@external("env", "windowRead")
export declare function windowRead(first: u32, offLo: u32, offHi: u32, ptr: usize, len: u32): u32;

@external("env", "windowWrite")
export declare function windowWrite(first: u32, offLo: u32, offHi: u32, ptr: usize, len: u32): u32;
