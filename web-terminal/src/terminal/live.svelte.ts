/** What a page shows of one session, kept current by its connection. Used by the learner's page and the teacher's. */
import { dialSession } from '../api/client';
import type {
  CheckOutcome, SeatNotice, SessionNotice, TerminalNotice, TimeNotice, ToBrowser, ViewerNotice,
} from '../protocol/messages';
import { realClock } from '../transport/clock';
import type { LinkState } from '../transport/link';
import { withTold, type LiveCommand } from './commands';
import { Connection } from './connection';

export class LiveSession {
  link = $state<LinkState>({ name: 'connecting', attempt: 0 });
  /** The link was open once: from then on a loss is a reconnect. */
  met = $state(false);
  notice = $state<SessionNotice | null>(null);
  terminals = $state<TerminalNotice[]>([]);
  checks = $state<CheckOutcome[]>([]);
  checking = $state(false);
  viewers = $state<ViewerNotice[]>([]);
  time = $state<TimeNotice | null>(null);
  /** When `time` was said, on the page's clock. */
  timeAt = $state(0);
  commands = $state<LiveCommand[]>([]);
  error = $state<{ code: string; message: string } | null>(null);
  roundTripMs = $state<number | null>(null);
  readonly connection: Connection;

  constructor(readonly session: string) {
    // Numbered input needs a writer that no earlier load of this tab has used: its numbers start at 1 again.
    const writer = crypto.getRandomValues(new BigUint64Array(1))[0]!.toString();
    this.connection = new Connection({
      dial: () => dialSession(session, writer),
      clock: realClock,
      message: (message) => this.#heard(message),
      state: (state) => {
        this.link = state;
        if (state.name === 'open') this.met = true;
      },
      wrote: (terminal) => {
        const notice = this.terminals[terminal];
        if (notice && notice.exited !== null) notice.exited = null;
      },
      roundTrip: (ms) => (this.roundTripMs = Math.round(ms)),
    });
  }

  /** Connects, and wakes the link when the device or the network does. Returns the undo. */
  start(): () => void {
    const nudge = () => document.visibilityState === 'visible' && this.connection.link.nudge();
    this.connection.start();
    addEventListener('online', nudge);
    document.addEventListener('visibilitychange', nudge);
    return () => {
      removeEventListener('online', nudge);
      document.removeEventListener('visibilitychange', nudge);
      this.connection.close();
    };
  }

  get over(): boolean {
    return this.notice?.state === 'ended' || this.notice?.state === 'failed';
  }

  outcome(check: string): CheckOutcome | undefined {
    return this.checks.find((outcome) => outcome.check === check);
  }

  seat(terminal: number): SeatNotice {
    return this.terminals[terminal]?.seat ?? { holder: 'nobody', name: '', role: '' };
  }

  #heard(message: ToBrowser): void {
    switch (message.type) {
      case 'session': this.notice = message; break;
      case 'terminals': this.terminals = message.terminals; break;
      case 'resize': this.#terminal(message.terminal, { cols: message.cols, rows: message.rows }); break;
      case 'exit': this.#terminal(message.terminal, { exited: message.status }); break;
      case 'seat': this.#terminal(message.terminal, { seat: message.seat }); break;
      case 'checks':
        this.checks = message.outcomes;
        this.checking = message.running;
        break;
      case 'viewers': this.viewers = message.viewers; break;
      case 'time':
        this.time = message;
        this.timeAt = Date.now();
        break;
      case 'command': this.commands = withTold(this.commands, { ...message.command, terminal: message.terminal, at_us: message.at_us }); break;
      case 'error':
        // Shown where it is: the strip above the console says who types, and what is out of order is sent again.
        if (message.code !== 'no-seat' && message.code !== 'input-order') this.error = { code: message.code, message: message.message };
        break;
    }
  }

  #terminal(index: number, change: Partial<TerminalNotice>): void {
    const terminal = this.terminals[index];
    if (terminal) Object.assign(terminal, change);
  }
}
