/** How addresses of a link are written on a map: the network once, and each end's own part. */

export interface Shared {
  /** `10.0.12.0/30`, or empty when the ends have no network in common. */
  network: string;
  /** `.1` and `.2`, or the whole addresses. */
  hosts: [string, string];
}

export function shared(a: string | null | undefined, b: string | null | undefined): Shared {
  const left = parsed(a);
  const right = parsed(b);
  if (!left || !right || left.prefix !== right.prefix || left.network !== right.network) return { network: '', hosts: [a ?? '', b ?? ''] };
  return { network: `${dotted(left.network)}/${left.prefix}`, hosts: [host(left), host(right)] };
}

interface Address {
  value: number;
  prefix: number;
  network: number;
}

function parsed(text: string | null | undefined): Address | null {
  const found = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text ?? '');
  if (!found) return null;
  const bytes = found.slice(1, 5).map(Number);
  const prefix = Number(found[5]);
  if (prefix > 32 || bytes.some((byte) => byte > 255)) return null;
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const size = 2 ** (32 - prefix);
  return { value, prefix, network: Math.floor(value / size) * size };
}

/** The bytes that the prefix does not fix, each behind a dot. */
function host({ value, prefix }: Address): string {
  const fixed = Math.min(3, Math.floor(prefix / 8));
  return `.${dotted(value).split('.').slice(fixed).join('.')}`;
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.');
}
