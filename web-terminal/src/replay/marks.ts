/** What the list of commands and the line of time show of a recording. */
import type { RecordingMarker } from '../api/types';
import { isEnd } from '../protocol/messages';

/** Sizes and consoles that the end of the lab closed (status -1: nobody was left to ask) left out, and a command told twice (when entered
 *  and when it ended) folded into one. */
export function marksOf(markers: readonly RecordingMarker[]): RecordingMarker[] {
  const marks: RecordingMarker[] = [];
  /** Where the last entered and not yet ended command of each terminal is. */
  const open = new Map<number, number>();
  for (const marker of markers) {
    if (marker.kind === 'resize' || (marker.kind === 'exit' && marker.status === -1)) continue;
    const ended = marker.kind === 'command' && isEnd(marker) ? open.get(marker.terminal) : undefined;
    if (ended !== undefined && marks[ended]!.text === marker.text) {
      marks[ended] = { ...marks[ended]!, status: marker.status ?? null, took_us: marker.took_us ?? null };
      open.delete(marker.terminal);
      continue;
    }
    if (marker.kind === 'command' && !isEnd(marker)) open.set(marker.terminal, marks.length);
    marks.push(marker);
  }
  return marks;
}

/** A command that failed, or a check that did not pass. */
export function isBad({ kind, status }: RecordingMarker): boolean {
  return kind === 'command' ? !!status : kind === 'check' && status !== 1;
}
