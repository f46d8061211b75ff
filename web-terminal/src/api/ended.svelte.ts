/**
 * A login of staff that ended while its page was open: by its time, or because somebody ended it. Learners are not told here: they come back by
 * their course.
 */
import type { Login } from './types';

export const ended = $state<{ login: Login | null }>({ login: null });
