/** JSON text frames between a page and the orchestrator; the twin of `lab-core/src/terminal/message.rs`. */

export const BROWSER_PROTOCOL = 'labwire.v1';
export const WALL_PROTOCOL = 'labwire.wall.v1';

export type SessionStateName =
  | 'requested' | 'queued' | 'provisioning' | 'ready' | 'frozen' | 'stopping' | 'ended' | 'failed';

/** Page → orchestrator. */
export type FromBrowser =
  | { type: 'attach'; terminal: number; from: number | null; seat: boolean; cols: number; rows: number }
  | { type: 'detach'; terminal: number }
  | { type: 'resize'; terminal: number; cols: number; rows: number }
  | { type: 'seat'; terminal: number; take: boolean }
  | { type: 'restart'; terminal: number }
  | { type: 'check'; check: string | null }
  | { type: 'marker'; terminal: number; label: string }
  | { type: 'ping'; t: number };

export interface StepNotice {
  /** `requested`, `hold`, `image`, `sandbox`, `agent`, `lab`, `ready`, or the lab's own words. */
  step: string;
  /** Milliseconds since the click. */
  at_ms: number;
}

export interface SessionNotice {
  session: string;
  state: SessionStateName;
  reason: string | null;
  detail: string | null;
  steps: StepNotice[];
  /** Place in the queue, 1 is next. */
  queue: number | null;
  /** Why the sandbox, which is made, does not run yet. */
  waiting: 'capacity' | 'quota' | 'image' | 'refused' | null;
  /** The agent cannot be reached; the shells go on. */
  away: boolean;
}

export interface SeatNotice {
  holder: 'you' | 'other' | 'nobody';
  name: string;
  role: string;
}

export interface TerminalNotice {
  id: string;
  cols: number;
  rows: number;
  exited: number | null;
  seat: SeatNotice;
}

export interface ViewerNotice {
  name: string;
  role: string;
}

export interface TimeNotice {
  /** Seconds until the nearest limit stops the session; null when nothing limits it yet. */
  left_s: number | null;
  /** `frozen`: it stands still since its time ran out, and stops then. */
  limit: 'time' | 'budget' | 'idle' | 'frozen' | null;
  /** Minutes of the warning this is. */
  warn: number | null;
  used_s: number;
  budget_s: number;
  /** Of what the learner was given in this course, 0 to 100. */
  spent_percent: number;
  extendable: boolean;
}

export interface CheckOutcome {
  check: string;
  passed: boolean;
  points: number;
  detail: string;
}

/** A command, told when it is entered and again when it ended: a shell says with which status, a router's prompt only how long it took. */
export interface Command {
  text: string;
  status?: number;
  took_us?: number;
}

/** Whether a command's end was told. */
export function isEnd({ status, took_us }: { status?: number | null; took_us?: number | null }): boolean {
  return status != null || took_us != null;
}

/** Orchestrator → page. */
export type ToBrowser =
  | ({ type: 'session' } & SessionNotice)
  | { type: 'terminals'; terminals: TerminalNotice[] }
  | { type: 'resize'; terminal: number; cols: number; rows: number; offset: number }
  | { type: 'command'; terminal: number; command: Command; at_us: number }
  | { type: 'exit'; terminal: number; status: number }
  | { type: 'seat'; terminal: number; seat: SeatNotice }
  | { type: 'checks'; outcomes: CheckOutcome[]; running: boolean }
  | { type: 'viewers'; viewers: ViewerNotice[] }
  | ({ type: 'time' } & TimeNotice)
  | { type: 'error'; code: string; message: string }
  | { type: 'pong'; t: number }
  | { type: 'go-away'; after_ms: number };

/** One learner on a teacher's wall. */
export interface Card {
  session: string;
  subject: string;
  name: string;
  lab: string;
  state: SessionStateName;
  reason: string | null;
  terminal: string;
  /** Text lines, at most 24 × 80. */
  screen: string[];
  last_command: string | null;
  /** Seconds since the last command or newly passed check. */
  idle_s: number;
  checks_passed: number;
  checks_total: number;
  points: number;
  points_total: number;
  away: boolean;
  viewers: string[];
}

export interface WallMessage {
  type: 'cards';
  cards: Card[];
  gone: string[];
}

/** Why the server closed the socket. */
export const CLOSE = {
  over: 1000,
  goAway: 1001,
  protocol: 4400,
  ticket: 4401,
  notAllowed: 4403,
  noSession: 4404,
  noAnswer: 4408,
  crowded: 4409,
  tooMuch: 4429,
} as const;
