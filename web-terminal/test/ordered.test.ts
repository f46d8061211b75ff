import { expect, it } from 'vitest';
import { OrderedScreen, type Emulator } from '../src/terminal/ordered';

it('a resize waits for the bytes before it, and the bytes after it wait for the resize', () => {
  const done: string[] = [];
  const parsed: (() => void)[] = [];
  const emulator: Emulator = {
    write: (bytes, then) => {
      done.push(`write ${bytes.length}`);
      parsed.push(then);
    },
    resize: (cols, rows) => done.push(`resize ${cols}x${rows}`),
    reset: () => done.push('reset'),
  };
  const screen = new OrderedScreen(emulator);
  screen.write(new Uint8Array(1), () => done.push('drawn 1'));
  screen.write(new Uint8Array(2), () => done.push('drawn 2'));
  screen.reset();
  screen.resize(80, 24);
  screen.write(new Uint8Array(3), () => done.push('drawn 3'));
  expect(done).toEqual(['write 1', 'write 2']);
  parsed[0]!();
  expect(done).toEqual(['write 1', 'write 2', 'drawn 1']);
  parsed[1]!();
  expect(done.slice(3)).toEqual(['drawn 2', 'reset', 'resize 80x24', 'write 3']);
});
