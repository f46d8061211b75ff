/** F6 and Shift+F6 move between the parts of a page, also out of a console, which keeps Tab for itself. */
export function cycleRegions(back: boolean): void {
  const regions = [...document.querySelectorAll<HTMLElement>('[data-region]')].filter((region) => region.getClientRects().length > 0);
  if (regions.length === 0) return;
  const here = regions.findIndex((region) => region.contains(document.activeElement));
  const next = regions[(here + (back ? -1 : 1) + regions.length) % regions.length] ?? regions[0]!;
  const entry = next.querySelector<HTMLElement>('textarea.xterm-helper-textarea, [data-region-entry], button:not(:disabled), a[href], input, select, [tabindex="0"]');
  if (entry) entry.focus();
  else {
    next.tabIndex = -1;
    next.focus();
  }
}
