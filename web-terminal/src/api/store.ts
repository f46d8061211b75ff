/** The bearer of this tab: in sessionStorage, so that a reload stays signed in and another tab does not share it. */
import type { Login, Signed } from './types';

const KEY = 'labwire.login';

export interface Stored extends Signed {
  login: Login;
}

export function load(): Stored | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Stored | null;
  } catch {
    return null;
  }
}

export function save(stored: Stored): void {
  sessionStorage.setItem(KEY, JSON.stringify(stored));
}

export function forget(): void {
  sessionStorage.removeItem(KEY);
}
