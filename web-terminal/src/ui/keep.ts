/** Small preferences of this browser. Storage may be refused (private windows, embedded pages): then they last for the page. */
const memory = new Map<string, string>();

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`labwire.${key}`);
  } catch {
    return memory.get(key) ?? null;
  }
}

export function remember(key: string, value: string): void {
  memory.set(key, value);
  try {
    localStorage.setItem(`labwire.${key}`, value);
  } catch {
    // kept in memory above
  }
}
