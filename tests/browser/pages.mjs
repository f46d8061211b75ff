// What a person does on the pages: types in a console, reads it, waits for what it says. No emulator internals: a console is
// read through its plain-text view, as somebody with a screen reader would.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { eventually } from './labwire.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** From the click to the first prompt: a cold container on a machine that does other things too. */
export const READY_WITHIN_MS = 60_000;
const SAYS_WITHIN_MS = 20_000;

export const part = (page, id) => page.getByTestId(id);

/** A frame has no keyboard of its own. What is done to a page here is done to a frame of one as well. */
const keyboard = (view) => (view.keyboard ?? view.page().keyboard);

/** Opens a learner's link and waits for the workbench. */
export async function enter(page, link) {
  await page.goto(link);
  await part(page, 'workbench').waitFor({ timeout: READY_WITHIN_MS });
  return page;
}

/** Chooses a console and puts the keyboard into it. */
export async function openConsole(page, id) {
  await part(page, `tab-${id}`).click();
  await part(page, `screen-${id}`).click();
  await hasKeyboard(page, id);
}

/** Waits until what is typed goes into the console. */
export const hasKeyboard = (page, id) =>
  page.waitForFunction((id) => document.querySelector(`[data-testid="screen-${id}"]`)?.contains(document.activeElement), id);

/** Types a line, key by key, into the console that has the keyboard. */
export async function type(page, line) {
  await keyboard(page).type(line);
  await keyboard(page).press('Enter');
}

/** The text of the console shown, from the plain-text view, as soon as it matches. */
export async function reads(page, wanted, withinMs = SAYS_WITHIN_MS) {
  await part(page, 'plain').click();
  const text = part(page, 'plain-text');
  let seen = '';
  try {
    return await eventually(() => `${wanted} in the console, which says:\n${seen}`, withinMs, async () => {
      seen = await text.textContent();
      if (wanted.test(seen)) return seen;
      await part(page, 'plain-dialog').getByRole('button').first().click(); // refresh
      return null;
    });
  } finally {
    await keyboard(page).press('Escape');
    await part(page, 'plain-dialog').waitFor({ state: 'hidden' });
  }
}

/** Types lines into console `id` and waits until it says `wanted`. */
export async function run(page, id, lines, wanted) {
  await openConsole(page, id);
  for (const line of lines) await type(page, line);
  return reads(page, wanted);
}

/** The serious findings of axe-core on the page as it is now, in words. */
export async function barriers(page) {
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe);
  const { violations } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 160)} (${failureSummary})`).join('; ')}`);
}
