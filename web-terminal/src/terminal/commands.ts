/** The list of commands that a page shows of a session as it goes on. */
import { isEnd, type Command } from '../protocol/messages';

export interface LiveCommand extends Command {
  terminal: number;
  at_us: number;
}

/** Commands kept on the page; the recording has them all. */
const COMMANDS_MAX = 500;

/** The list with what was just told: a new command, or the end of the one that was entered, which is told with the same text. */
export function withTold(commands: readonly LiveCommand[], told: LiveCommand): LiveCommand[] {
  if (isEnd(told)) {
    const open = commands.findLastIndex((other) => other.terminal === told.terminal && !isEnd(other) && other.text === told.text);
    // it stays where it was entered, and when
    if (open >= 0) return commands.with(open, { ...told, at_us: commands[open]!.at_us });
  }
  return [...commands, told].slice(-COMMANDS_MAX);
}
