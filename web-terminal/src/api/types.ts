/** The HTTP contract's shapes under the pages' names; the contract itself is generated (`npm run api`). */
import type { SessionStateName } from '../protocol/messages';
import type { components } from './schema';

type Schemas = components['schemas'];

export type Role = 'learner' | 'teacher' | 'operations';
export type Bilingual = Schemas['TextView'];
export type Login = Omit<Schemas['LoginView'], 'role'> & { role: Role };
export type Signed = Schemas['RotatedView'];
export type Me = Schemas['MeView'];
export type Step = Schemas['StepView'];
export type NodeKind = 'router' | 'host' | 'switch' | 'vm' | 'cloud';
export type LabNode = Omit<Schemas['NodeView'], 'kind'> & { kind: NodeKind };
export type LabLink = Schemas['LinkView'];
export type LabTerminal = Schemas['TerminalView'];
export type LabCheck = Schemas['CheckView'];
export type Lab = Omit<Schemas['LabView'], 'nodes'> & { nodes: LabNode[] };
export type SessionView = Omit<Schemas['SessionView'], 'state'> & { state: SessionStateName };
export type MarkerKind = 'command' | 'check' | 'marker' | 'resize' | 'exit';
export type RecordingMarker = Omit<Schemas['MarkerView'], 'kind'> & { kind: MarkerKind };
export type Keyframe = Schemas['KeyframeView'];
export type Recording = Omit<Schemas['RecordingView'], 'markers'> & { markers: RecordingMarker[] };
export type Health = Schemas['HealthView'];
export type Pool = Schemas['PoolView'];
export type Queue = Schemas['QueueView'];
export type Overview = Schemas['OverviewView'];
export type Paused = Schemas['PausedView'];
export type Pause = Schemas['PauseView'];
export type Refusal = Schemas['RefusalView'];
export type Redeemed = Schemas['RedeemedView'];
export type AuditEvent = Schemas['AuditView'];
export type UsageRow = Schemas['UsageView'];
export type Notice = Schemas['NoticeView'];
export type Look = Schemas['LookView'];
export type PersonSummary = Schemas['PersonSummaryView'];
export type Person = Schemas['PersonView'];
export type ErasedPerson = Schemas['ErasedView'];
