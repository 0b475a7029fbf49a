/** What runs a user's module apart from the machine, so that it can be ended at any time: a thread, given by the host. */

/** One module that runs. */
export interface ModuleThread {
  /** Blocks until the module calls (`call`: JSON), or is taken to be dead: then it tells why. */
  next(): { readonly call: string } | { readonly dead: string };
  /** The answer to the call that `next` gave: JSON. */
  answer(text: string): void;
  /** Ends it where it stands. May be called again. */
  end(): void;
}

export interface ModuleHost {
  /** Bytes of a call or an answer at most. */
  readonly messageMax: number;
  /** Starts a module from its text. `about` goes to it with `start`. */
  start(text: string, about: ModuleAbout): ModuleThread;
}

export interface ModuleAbout {
  readonly domid: number;
  readonly name: string;
  readonly commandLine: string;
}
