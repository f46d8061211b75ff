/** The page that each role begins at, and the place that somebody comes back to. */
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

/** What else is for who begins there: a place of another's would only say that it is not for them. */
const ALSO: Record<Home, readonly string[]> = {
  '/lab': [],
  '/teacher': ['/watch/', '/replay/', '/learner', '/office'],
  '/operations': ['/learner', '/office'],
  '/office': [],
};

const PLACE = 'labwire.place';

/** Keeps where this page is, for the sign-in that follows in this tab. Where the tab may keep nothing, a sign-in ends at its role's page. */
export function rememberPlace(): void {
  try {
    sessionStorage.setItem(PLACE, location.pathname + location.search + location.hash);
  } catch {
    // refused to a frame of another site
  }
}

/** Where a sign-in of this role ends: the place that was kept, once, if it is one of the role's; else the role's own page. */
export function comeBack(role: Role): string {
  let place: string | null = null;
  try {
    place = sessionStorage.getItem(PLACE);
    sessionStorage.removeItem(PLACE);
  } catch {
    // as above
  }
  const home = HOME[role];
  if (!place || role === 'learner') return home;
  const path = place.replace(/[?#].*$/s, '');
  const fits = path === home || ALSO[home].some((other) => (other.endsWith('/') ? path.startsWith(other) : path === other));
  return fits ? place : home;
}
