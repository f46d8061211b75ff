// A lab of virtual machines in one browser tab: a serial console that shows the boot, takes keys, and outlives a reboot.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually, Labwire } from '../labwire.mjs';
import { openConsole, part, reads, run, type } from '../pages.mjs';

// Three machines, emulated, on a machine that runs other tests too.
const BOOT_WITHIN_MS = 120_000;
let labwire;
let page;

before(async () => {
  labwire = await Labwire.start();
  page = await labwire.tab();
});
after(() => labwire?.stop());

test('a click boots the machines, and the first console is at its prompt', async () => {
  await page.goto(labwire.learner('Emilie du Chatelet', 'vm-static-routes'));
  await part(page, 'workbench').waitFor({ timeout: BOOT_WITHIN_MS });
  await reads(page, /labwire: h1 is up after [\d.]+ s[\s\S]*h1:~# *$/);
});

test('what is typed into a serial console runs in the machine, and `resize` tells it the window', async () => {
  await run(page, 'r1', ['ip -br address'], /eth0 +UP +10\.1\.0\.1\/24[\s\S]*r1:~# *$/);
  await run(page, 'r1', ['resize; stty size'], /stty size\n(?!24 80\n)\d+ \d+\nr1:~# *$/);
  await labwire.shot(page, 'machine');
});

test('a console goes on through a reboot of its machine', async () => {
  await openConsole(page, 'r1');
  await type(page, 'clear; reboot');
  const again = await reads(page, /Restarting system[\s\S]*labwire: r1 is up after [\d.]+ s[\s\S]*r1:~# *$/, BOOT_WITHIN_MS);
  assert.match(again, /Linux version/);
  assert.deepEqual(page.problems, []);
});
