/** The page that each role begins at. */
import type { Role } from '../api/types';

export type Home = '/lab' | '/teacher' | '/operations' | '/office';

export const HOME: Record<Role, Home> = {
  learner: '/lab',
  teacher: '/teacher',
  coach: '/teacher',
  author: '/office',
  enrolment: '/office',
  manager: '/office',
  sponsor: '/office',
  operations: '/operations',
};
