/**
 * Puts what happens to an emulator in order. Writing is asynchronous (xterm.js parses in slices), resizing and resetting
 * are not: done at once they would overtake the bytes before them and break lines at the wrong width.
 */
import type { Screen } from './stream';

/** The emulator itself. */
export interface Emulator {
  write(bytes: Uint8Array, parsed: () => void): void;
  resize(cols: number, rows: number): void;
  reset(): void;
}

export class OrderedScreen implements Screen {
  #queue: { barrier: boolean; run: () => void }[] = [];
  #writing = 0;

  constructor(private readonly emulator: Emulator) {}

  write(bytes: Uint8Array, drawn: () => void): void {
    this.#add(false, () => {
      this.#writing++;
      this.emulator.write(bytes, () => {
        this.#writing--;
        drawn();
        this.#drain();
      });
    });
  }

  resize(cols: number, rows: number): void {
    this.#add(true, () => this.emulator.resize(cols, rows));
  }

  reset(): void {
    this.#add(true, () => this.emulator.reset());
  }

  #add(barrier: boolean, run: () => void): void {
    this.#queue.push({ barrier, run });
    this.#drain();
  }

  #drain(): void {
    while (this.#queue[0] && !(this.#queue[0].barrier && this.#writing > 0)) this.#queue.shift()!.run();
  }
}
